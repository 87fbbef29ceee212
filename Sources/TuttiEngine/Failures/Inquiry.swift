import Synchronization
import TuttiSystem

/// A call that this rank waits in, and for whom.
package struct AwaitedCall: Sendable, Equatable {
  /// The operation's number; 0 for a send or receive.
  package var number: UInt64
  /// The rank it waits for; -1 when that is not known.
  package var peer: Int
  /// The schedule's step that cannot go on; -1 when not known.
  package var step: Int
  /// The call's limit.
  package var nanoseconds: UInt64
  /// What a person would call it.
  package var description: String
}

/// Asks the other ranks about a call whose time is nearly over: on a thread of its own, so that the call may still end
/// meanwhile.
final class Inquiry: Sendable {
  /// Inquiries that are kept, and run at the same time.
  static let countMax = 8

  let call: AwaitedCall
  private let isOver = Atomic<Bool>(false)
  private let answer = Lock<FailureReport?>(nil)
  private let news = WakeWord()

  init(_ call: AwaitedCall) { self.call = call }

  /// Asks, and keeps the answer.
  func run(_ delegate: any EngineDelegate, until deadline: UInt64) {
    let found = delegate.diagnose(call, until: deadline)
    answer.withLock { $0 = found }
    isOver.store(true, ordering: .releasing)
    news.wake()
  }

  /// Whether there is an answer, or it is known that there will be none.
  var hasEnded: Bool { isOver.load(ordering: .acquiring) }

  /// Returns what was found out, and waits for it until `deadline`, by the clock. nil when there is nothing by then.
  func result(until deadline: UInt64, _ clock: MonotonicClock) -> FailureReport? {
    while !isOver.load(ordering: .acquiring) {
      let (seen, now) = (news.value, clock.now())
      if isOver.load(ordering: .acquiring) || now >= deadline { break }
      clock.wait(atMost: deadline - now) { news.wait(while: seen, nanoseconds: $0) }
    }
    return answer.withLock { $0 }
  }
}

extension Engine {
  /// The most that finding out why a call did not end adds to its limit.
  private static let tellingNanoseconds: UInt64 = 150_000_000

  /// Starts to ask the other ranks about a call whose deadline, in the engine's time, comes soon. Under the lock. Where
  /// ``Inquiry/countMax`` inquiries run already, they are asked at the deadline instead.
  func inquire(_ call: AwaitedCall, until deadline: UInt64) {
    lock.assertHeld()
    if core.pointee.inquiries.count >= Inquiry.countMax {
      guard let ended = core.pointee.inquiries.firstIndex(where: \.hasEnded) else { return }
      core.pointee.inquiries.remove(at: ended)
    }
    let inquiry = Inquiry(call)
    let end = deadline &+ core.pointee.stoppedTime &+ Self.tellingNanoseconds
    // Strongly: a thread that asks must not outlive whom it asks through.
    let delegate = delegate
    do throws(FailureReport) {
      try threads.start("tutti-inquiry") { inquiry.run(delegate, until: end) }
      core.pointee.inquiries.append(inquiry)
    } catch {
      // Without the thread they are asked at the deadline.
    }
  }

  /// Returns a function that makes the report of a call whose time is over, and is called without the lock. It uses what was
  /// found out already, if the call still waits for the same rank.
  func timeout(of call: AwaitedCall) -> () -> FailureReport {
    lock.assertHeld()
    let (delegate, rank, clock) = (delegate, rank, clock)
    let inquiry = core.pointee.inquiries.last { other in
      // Sends and receives have no numbers.
      other.call.number == call.number && other.call.peer == call.peer && other.call.description == call.description
    }
    return { [failure] in
      if let found = inquiry?.result(until: clock.now() &+ Self.tellingNanoseconds, clock) { return found }
      if let found = delegate.diagnose(call, until: clock.now() &+ Self.tellingNanoseconds) { return found }
      return failure
        ?? FailureReport(
          .closed, rank: rank, "the communicator was closed during the operation", operation: call.description)
    }
  }
}
