import TuttiTransport

/// One rank's half of all RDMA links of one communicator: it is dialed by higher ranks, and dials lower ones.
package final class RDMAEndpoint: @unchecked Sendable {
  /// The largest payload of a segment between so many ranks; equal on all of them.
  package static func segmentBytesMax(rankCount: Int) -> Int { 256 << 10 }

  /// - Parameters:
  ///   - doorbell: The rank's; rung when a link was made or has ended.
  ///   - rankCount: Of the communicator.
  package init(fabric: RDMAFabric, rank: Int, rankCount: Int, doorbell: Doorbell) throws(FailureReport) {}

  /// Becomes readable when the connection manager has news; to be watched by somebody who then calls ``service()``.
  package var descriptor: Int32 { -1 }
  /// Takes in what the connection manager says. Never blocks for long. Any thread.
  package func service() {}

  /// Answers a dialer that has proven the job's secret on `socket`: where to connect, and a token to show there. Never blocks; the link comes
  /// with ``takeLinks()``. The endpoint owns the socket from here on, also when this throws.
  package func invite(over socket: Int32, from peer: Int, rails: [Rail]) throws(FailureReport) { }

  /// Opens the link to a peer that was dialed on `socket` (not owned). Blocks, until the deadline at most.
  ///
  /// - Parameters:
  ///   - rails: The peer's.
  ///   - giveUp: Asked now and then; what it returns is thrown.
  package func connect(
    over socket: Int32, to peer: Int, rails: [Rail], deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) -> Link { throw FailureReport(.transport, "") }

  /// The links that peers have opened since the last call.
  package func takeLinks() throws(FailureReport) -> [Link] { [] }

  /// Gives up listeners, and connections that nobody has taken. Links go on. Idempotent.
  package func close() {}
}
