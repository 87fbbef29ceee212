import TuttiAlgorithms
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// A fixed group of ranks that communicate: this process's (or thread's) membership of it.
///
/// Every rank makes the same collective calls in the same order. A communicator can be used from any thread, and several
/// operations can be in flight. The order includes which thread calls first: if thread A starts an all-reduce before thread
/// B on one rank, it must do so on every rank. Threads whose calls come at unrelated times need a communicator each:
/// ``duplicate(timeout:)``. Sends and receives are ordered apart from collectives, for each pair of ranks.
///
/// A call whose arguments make no sense, such as a root that is no rank or a negative count, throws `.invalidArgument`
/// before anything is sent, and the communicator goes on. Such mistakes do not trap, because some callers are written in
/// other languages. After most other errors of a collective the communicator is aborted on every rank, and every call
/// throws that error: see <doc:Errors>.
///
/// Calls that wait for other ranks block their thread, and do not compile in asynchronous code. There, `start...` and
/// ``Work/finish()`` take the place of collectives, sends and receives; `join`, `split`, `duplicate`, `checkAgreement`
/// and `close` have asynchronous forms of the same names, in which a thread of the library's own waits. Cancelling a task
/// ends none of them: other ranks count on this one. To give up, call ``abort(_:)``.
public final class Communicator: Sendable {
  let member: CommunicatorMember
  /// The member's engine, kept here so that a call does not go through the member.
  let engine: Engine
  let defaultTimeout: UInt64
  /// All reductions, kept here so that none is found by a function call.
  let reductions = ReductionTable.shared
  /// What communicators split from this one are made with.
  let options: CommunicatorOptions
  /// The same member, as what it is to a split. It is kept apart so that calls go through no existential.
  let splittingMember: any SplittingMember
  /// Held during a split, so that splits take turns. It counts them because a lock around an empty value would share its
  /// address with other memory, which the thread sanitizer takes for a race.
  let splitting = Lock(0)
  /// The algorithm last asked for by name: asking again costs a comparison.
  private let lastNamed = Lock((collective: Collective.allReduce, name: "auto", number: UInt8(0)))

  /// Made at first use: most communicators have neither messages with tags nor operations that are made of others.
  private let layered = Lock((mailbox: Mailbox?.none, composites: Composites?.none))

  var mailbox: Mailbox {
    layered.withLock { layered in
      let mailbox = layered.mailbox ?? Mailbox(member, defaultTimeout: defaultTimeout)
      layered.mailbox = mailbox
      return mailbox
    }
  }

  var composites: Composites {
    layered.withLock { layered in
      let composites = layered.composites ?? Composites(engine)
      layered.composites = composites
      return composites
    }
  }

  /// The check by which all ranks agree on each call before it begins; nil where it was not asked for.
  let strictCheck: StrictCheck?

  init(_ member: any SplittingMember, _ options: CommunicatorOptions) {
    self.member = member
    splittingMember = member
    engine = member.engine
    self.options = options
    defaultTimeout = Self.nanoseconds(options.timeout)
    strictCheck = options.checksStrictly && member.rankCount > 1 ? StrictCheck(member) : nil
  }

  deinit { member.close() }

  /// This process's number, in `0..<rankCount`.
  public var rank: Int { member.rank }
  /// The number of ranks.
  public var rankCount: Int { member.rankCount }

  /// Aborts the communicator on every rank: all pending and later calls throw `reason`. It waits for no other rank, and any
  /// thread may call it.
  public func abort(_ reason: String) {
    if member.isForked { return }
    member.giveUp(FailureReport(.aborted, rank: rank, peer: rank, "rank \(rank) aborted: \(reason)"))
  }

  /// Ends this rank's membership, after its last operation: later calls throw `.closed`, and peers do not mistake this for
  /// the death of a process.
  ///
  /// It blocks its thread until what it has sent has arrived, for a second at most in which nothing arrives, and a minute in
  /// all. Idempotent; dropping the last reference does the same, on the thread that drops it.
  @available(*, noasync, message: "use 'await communicator.close()'")
  public func close() { member.close() }

  /// Ends this rank's membership, after its last operation: suspends while a thread of the library's own closes it.
  ///
  /// Cancelling the task changes nothing. Where no thread can be started, this one closes the communicator, and blocks.
  public func close() async {
    let member = member
    do throws(TuttiError) { try await onOwnThread { member.close() } } catch { member.close() }
  }

  /// How the last collective call ran, whichever thread made it.
  ///
  /// Where several threads make calls, the last one may be another thread's: to ask about a call of your own, start it, and
  /// look at its ``Work/info``.
  public var lastOperation: OperationInfo {
    OperationInfo(
      algorithm: engine.lastAlgorithm, transports: transports,
      dataPath: engine.lastSegmentWay.map(DataPath.init))
  }

  /// The transports of this rank's links, which are opened when calls first need them.
  var transports: TransportSet { TransportSet(engine.transports.map(TransportChoice.init)) }

  /// The names of the algorithms that calls of a collective can ask for on this communicator's ranks.
  public func algorithms(for collective: Collective) -> [String] {
    let policy = member.planner.policy
    return policy.catalog.algorithms(for: collective).filter { $0.isDefined(for: policy.grouping) }.map(\.name)
  }

  /// The hash, 32 hexadecimal digits, of the topology that algorithms follow: of ``CommunicatorOptions/topology``, or else
  /// of what the ranks know of one another. Equal topologies have equal hashes.
  public var topologyHash: String { member.layout.hash }

  // MARK: Requests

  static func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    if seconds < 0 { return 0 }
    // A century stands for ever, and its sum with a clock reading stays in range.
    return UInt64(min(seconds, 3_155_760_000)) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
  }

  /// Throws `.invalidArgument` if these ranks have no all-reduce, or reduce-scatter, of this name.
  package func checkAlgorithm(_ name: String, ofReduceScatter: Bool) throws(TuttiError) {
    do throws(FailureReport) { _ = try number(of: name, ofReduceScatter ? .reduceScatter : .allReduce) } catch {
      throw TuttiError(error)
    }
  }

  /// The catalog's number of an algorithm.
  func number(of name: String, _ collective: Collective) throws(FailureReport) -> UInt8 {
    let known = lastNamed.withLock { last -> UInt8? in
      last.collective == collective && last.name == name ? last.number : nil
    }
    if let known { return known }
    let number = try findNumber(of: name, collective)
    lastNamed.withLock { $0 = (collective, name, number) }
    return number
  }

  @inline(never)
  private func findNumber(of name: String, _ collective: Collective) throws(FailureReport) -> UInt8 {
    if name == "auto" { return 0 }
    let catalog = member.planner.policy.catalog
    if let number = catalog.number(collective, named: name) {
      if catalog.algorithm(collective, number: number).isDefined(for: member.planner.policy.grouping) { return number }
      let needsGroups = member.layout.levels.isEmpty && AlgorithmRegistry.overGroups.contains { $0.name == name }
      throw FailureReport(
        .invalidArgument, rank: rank,
        needsGroups
          ? "algorithm \(name) works over groups of ranks, and these \(rankCount) are in none"
          : "algorithm \(name) is not defined for \(rankCount) ranks",
        advice: needsGroups
          ? "Ranks of one host are a group where there are several hosts; or describe groups in a topology"
          : "Choose another algorithm, or auto; collbench list shows them")
    }
    // Algorithms over groups have a form for each pair of inner and outer algorithms: too many to list, so `a+b` are left
    // out.
    let known = catalog.algorithms(for: collective).map(\.name).filter { !$0.contains("+") }.joined(separator: ", ")
    throw FailureReport(
      .invalidArgument, rank: rank, "\(collective.name) has no algorithm '\(name)'", advice: "It has \(known), and auto")
  }
}

/// How an operation runs, or ran.
public struct OperationInfo: Sendable, Hashable {
  /// The algorithm's name: never `auto`, but the algorithm that `auto` stood for. Empty for a send or receive.
  public let algorithm: String
  /// The transports of the links that this rank has so far, at the moment of asking; empty for a single rank. As text:
  /// `shm`, `tcp`, `rdma`, `inprocess`, or several, such as `shm+tcp`.
  public let transports: TransportSet
  /// How large segments to ranks of this host travel now, which the library chooses by measuring as the job runs. It is nil
  /// where there is no choice (in small calls, over other transports, where `TUTTI_SINGLE_COPY` and
  /// `TUTTI_STREAMED_WINDOWS` decide), and in the ``Work/info`` of a started operation.
  public var dataPath: DataPath?
}

/// How a large segment travels over shared memory.
public enum DataPath: String, Sendable, Hashable {
  /// Its sender copies it into shared memory, where its receiver reads it.
  case windows
  /// Its sender copies it there past the caches of its core.
  case streamedWindows = "streamed-windows"
  /// Its receiver copies it from the memory of its sender's process.
  case singleCopy = "single-copy"

  init(_ way: SegmentWay) {
    self =
      switch way {
      case .window: .windows
      case .streamedWindow: .streamedWindows
      case .held: .singleCopy
      }
  }
}
