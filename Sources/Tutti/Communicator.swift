import TuttiAlgorithms
import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// A fixed group of ranks that communicate: this process's (or thread's) membership of it.
///
/// Every rank makes the same collective calls in the same order. Calls from several threads are serialised in call order; several
/// operations can be in flight. After the first error the communicator is aborted on every rank, and every call throws that error.
public final class Communicator: Sendable {
  let member: CommunicatorMember
  /// The member's; here so that a call does not go through it.
  let engine: Engine
  let defaultTimeout: UInt64
  /// All reductions; here so that finding one is no call.
  let reductions = ReductionTable.shared
  /// What communicators split from this one are made with.
  let options: CommunicatorOptions
  /// How many splits there were; held during one. An empty value would lie where the thread sanitizer sees other accesses.
  let splitting = Lock(0)
  /// The algorithm last asked for by name: asking again costs a comparison.
  private let lastNamed = Lock((collective: Collective.allReduce, name: "auto", number: UInt8(0)))

  /// Present when every call is to be agreed on first.
  let strictCheck: StrictCheck?

  init(_ member: CommunicatorMember, _ options: CommunicatorOptions) {
    self.member = member
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

  /// Aborts the communicator on every rank: all pending and later calls throw `reason`. Local, bounded, from any thread.
  public func abort(_ reason: String) {
    if member.isForked { return }
    let cause = FailureReport(.aborted, rank: rank, peer: rank, "rank \(rank) aborted: \(reason)")
    engine.abort(member.report(cause))
  }

  /// Ends this rank's membership, after its last operation. Later calls throw `.closed`; peers do not take it for a death. Idempotent;
  /// dropping the last reference does the same.
  public func close() { member.close() }

  /// How the last call ran. Where several threads make calls, it is that of whichever came last.
  public var lastOperation: OperationInfo {
    let last = engine.lastCall
    let order = BuiltInTransports.namesInResults
    let names = last.transports.map(\.name).sorted {
      (order.firstIndex(of: $0) ?? order.count, $0) < (order.firstIndex(of: $1) ?? order.count, $1)
    }
    return OperationInfo(algorithm: last.algorithm, transport: names.joined(separator: "+"))
  }

  // MARK: Requests

  static func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    if seconds < 0 { return 0 }
    // A century is never; the sum with a clock reading stays in range.
    return UInt64(min(seconds, 3_155_760_000)) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
  }

  /// Throws `.invalidArgument` if there is no such all-reduce, or reduce-scatter, for so many ranks.
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
      throw FailureReport(
        .invalidArgument, rank: rank, "algorithm \(name) is not defined for \(rankCount) ranks",
        advice: "Choose another one of collbench list")
    }
    let known = catalog.algorithms(for: collective).map(\.name).joined(separator: ", ")
    throw FailureReport(
      .invalidArgument, rank: rank, "\(collective.name) has no algorithm '\(name)'", advice: "It has \(known), and auto")
  }
}

/// How a call ran.
public struct OperationInfo: Sendable, Hashable {
  /// The algorithm's name; what `auto` stood for.
  public let algorithm: String
  /// The transports that carried it: `shm`, `tcp`, `inprocess`, or `shm+tcp`; empty for a single rank.
  public let transport: String
}
