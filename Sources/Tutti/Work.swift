import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// A started operation, send or receive. Dropping it does not cancel anything: the operation runs on, and its buffers stay
/// in use.
public struct Work: Sendable {
  package let communicator: Communicator
  /// A collective's number on its communicator, from 1. Other operations have ranges of their own: see ``WorkNumber``.
  package let number: UInt64
  /// The collective and its algorithm's number; nil for a send or receive.
  let call: (collective: Collective, algorithm: UInt8)?

  init(communicator: Communicator, number: UInt64, call: (collective: Collective, algorithm: UInt8)?) {
    self.communicator = communicator
    self.number = number
    self.call = call
  }

  /// Makes the work of the operation of this number, whose ``info`` nobody will ask for.
  package init(communicator: Communicator, number: UInt64) {
    self.init(communicator: communicator, number: number, call: nil)
  }

  /// How this operation runs: what `auto` stands for, which is settled when it starts.
  ///
  /// Unlike ``Communicator/lastOperation``, it is about this operation, whatever other threads call.
  public var info: OperationInfo {
    let catalog = communicator.member.planner.policy.catalog
    let name = call.map { catalog.name($0.collective, number: $0.algorithm) }
    return OperationInfo(algorithm: name ?? "", transports: communicator.transports)
  }

  /// Whether the operation has ended well.
  public var isDone: Bool {
    switch WorkNumber(number) {
    case .collective, .transfer: communicator.engine.isDone(number)
    case .receive: communicator.mailbox.isDone(number)
    case .composite: communicator.composites.isDone(number)
    }
  }

  /// Blocks until the operation has ended; this thread makes the progress meanwhile.
  ///
  /// The operation has its own limit, given at the start. Several threads may wait for one operation, in any order on any
  /// rank.
  ///
  /// - Throws: ``TuttiError``: the communicator is then aborted, and the buffers are unspecified.
  @available(*, noasync, message: "use 'try await work.finish()'")
  public func wait() throws(TuttiError) {
    do throws(FailureReport) {
      try communicator.member.checkProcess()
      switch WorkNumber(number) {
      case .collective, .transfer: try communicator.engine.wait(for: number)
      // Its parts have limits of their own.
      case .receive, .composite: while try !drive(atMost: Self.turnNanoseconds) {}
      }
    } catch { throw TuttiError(error) }
  }

  /// Blocks until the operation has ended, but no longer than `timeout`; this thread makes the progress meanwhile.
  ///
  /// - Parameter timeout: How long this call may wait. The operation keeps its own limit, given at the start.
  /// - Returns: Whether the operation has ended. `false` means that `timeout` passed first: the operation goes on, and can
  ///   be waited for again.
  /// - Throws: ``TuttiError``, like ``wait()``.
  @available(*, noasync, message: "use 'try await work.finish()'")
  public func wait(timeout: Duration) throws(TuttiError) -> Bool {
    do throws(FailureReport) {
      try communicator.member.checkProcess()
      return try drive(atMost: Communicator.nanoseconds(timeout))
    } catch { throw TuttiError(error) }
  }

  /// How long a wait without a limit of its own lasts before it begins again, in nanoseconds.
  private static let turnNanoseconds: UInt64 = 3_600_000_000_000

  /// Makes progress until the operation has ended, for at most `nanoseconds`. Returns whether it has ended.
  ///
  /// A function of its own: waiting for a collective or a transfer has nothing to do with what makes the others.
  @inline(never)
  func drive(atMost nanoseconds: UInt64) throws(FailureReport) -> Bool {
    switch WorkNumber(number) {
    case .collective, .transfer: try communicator.engine.wait(for: number, atMost: nanoseconds)
    case .receive: try communicator.mailbox.wait(for: number, atMost: nanoseconds)
    case .composite: try communicator.composites.wait(for: number, atMost: nanoseconds)
    }
  }

  /// Suspends until the operation has ended; the progress thread makes the progress meanwhile.
  ///
  /// Cancelling the task changes nothing: the operation and its buffers belong to all ranks, so this returns when the
  /// operation ends, or at its limit. To give up, abort the communicator.
  ///
  /// - Throws: ``TuttiError``, like ``wait()``.
  public func finish() async throws(TuttiError) {
    do throws(FailureReport) { try communicator.member.checkProcess() } catch { throw TuttiError(error) }
    await withCheckedContinuation { continuation in
      whenNoticed { continuation.resume() }
    }
    try result.get()
  }

  /// Calls `handler` once, when the operation has ended, well or not.
  ///
  /// It is called on the one thread that the library has for handlers in this process, in the order in which operations are
  /// seen to end, also when this one has ended already. It may make calls, and block: handlers of what ends meanwhile wait
  /// for it, and nothing else does.
  ///
  /// - Parameter handler: Receives success, or the error that ``wait()`` would throw.
  /// - Throws: ``TuttiError`` with `.resources` when the thread cannot be started, and `.closed` in a forked child:
  ///   `handler` is not called then.
  public func whenEnded(_ handler: @escaping @Sendable (Result<Void, TuttiError>) -> Void) throws(TuttiError) {
    do throws(FailureReport) {
      try communicator.member.checkProcess()
      let thread = try CallbackThread.shared()
      whenNoticed { thread.add { handler(result) } }
    } catch { throw TuttiError(error) }
  }

  /// How the operation has ended, once it has.
  private var result: Result<Void, TuttiError> {
    if isDone { return .success(()) }
    return .failure(TuttiError(communicator.engine.failure ?? communicator.member.closedReport()))
  }

  /// Calls `handler` once, when the operation has ended, well or not: on the thread that notices, which may be this one, or
  /// at once. It must not block. It may start any number of operations: with as many under way as a communicator queues, a
  /// start waits, and makes the progress meanwhile.
  package func whenNoticed(_ handler: @escaping @Sendable () -> Void) {
    switch WorkNumber(number) {
    case .collective, .transfer: communicator.engine.notify(number, handler)
    case .receive: communicator.mailbox.notify(number, handler)
    case .composite: communicator.composites.notify(number, handler)
    }
  }
}
