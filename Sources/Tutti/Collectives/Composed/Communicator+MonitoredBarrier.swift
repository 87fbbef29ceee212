// A barrier that says who has not come.

import TuttiEngine
import TuttiSchedule
import TuttiSystem

extension Communicator {
  /// Returns once every rank has called it. Where not all come in time, the error names all that have not.
  ///
  /// Use it to find ranks that are late, stuck, or in another part of the program while debugging. It costs a little more
  /// than ``barrier(algorithm:timeout:)``, which names only the one rank that is at fault.
  ///
  /// - Parameter timeout: How long to wait for all ranks; nil for the communicator's limit.
  /// - Throws: ``TuttiError`` with `.timeout`, whose message lists the ranks and whose `peer` is the first of them;
  ///   otherwise the errors of any collective.
  /// - SeeAlso: `torch.distributed.monitored_barrier`.
  @available(*, noasync, message: "call it from a thread of its own")
  public func monitoredBarrier(timeout: Duration? = nil) throws(TuttiError) {
    do throws(FailureReport) { try runMonitoredBarrier(timeout.map(Self.nanoseconds) ?? defaultTimeout) } catch {
      throw TuttiError(error)
    }
  }

  /// How much longer the limit of the barrier itself is than the wait for it, in nanoseconds: long enough that no rank gives
  /// up the barrier while another asks who is missing.
  private static let graceNanoseconds: UInt64 = 60_000_000_000

  private func runMonitoredBarrier(_ limit: UInt64) throws(FailureReport) {
    let none = RawMemory(Self.nowhere, count: 0, type: .int32)
    var request = try request(CollectiveCall(collective: .barrier, input: none, output: none))
    // Not the strict check: it would wait for the ranks that are to be named.
    request.limit = TimeLimit(nanoseconds: limit &+ Self.graceNanoseconds)
    let (number, _) = try engine.begin(request, owner: nil)
    if try engine.wait(for: number, atMost: limit) { return }
    let missing = (0..<rankCount).filter { $0 != rank && member.askCall(of: $0, operationNumber: number) == nil }
    if try engine.wait(for: number, atMost: 0) { return }
    let seconds = secondsText(Double(limit) / 1e9)
    throw member.giveUp(
      FailureReport(
        .timeout, rank: rank, peer: missing.first ?? -1,
        missing.isEmpty
          ? "timed out after \(seconds) s: all ranks have come to the monitored barrier, and its messages are late"
          : "timed out after \(seconds) s: \(rankListText(missing)) \(missing.count == 1 ? "has" : "have") not come to the "
            + "monitored barrier, or \(missing.count == 1 ? "does" : "do") not answer",
        advice: missing.isEmpty ? "Raise the limit of time" : "Look at what these ranks do",
        operation: "monitored barrier", operationNumber: number))
  }
}
