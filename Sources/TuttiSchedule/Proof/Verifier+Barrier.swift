// The postcondition of a barrier, which has no data: it is a property of who waits for whom.

extension Verifier {
  /// Checks that the steps of a rank, taken together, wait for at least one step of every other rank: so no rank is done
  /// before every rank has entered.
  ///
  /// Credit is not counted: how much of it there is depends on the transport.
  func checkBarrier(_ graph: EventGraph, _ order: [Int32]) throws(ProofFailure) {
    let words = (rankCount + 63) / 64
    var entered = Array(repeating: UInt64(0), count: graph.eventCount * words)
    let kept = graph.kinds.indices.filter { graph.kinds[$0] != .credit }
    let (base, sources) = EventGraph.index(
      kept.map { graph.tos[$0] }, kept.map { graph.froms[$0] }, graph.eventCount)
    var left = Array(repeating: UInt64(0), count: rankCount * words)
    for event in order.map(Int.init) {
      for source in sources[base[event]..<base[event + 1]] {
        for word in 0..<words { entered[event * words + word] |= entered[Int(source) * words + word] }
      }
      guard event < graph.segmentCount else { continue }
      let rank = Int(graph.rankOfStep[Int(graph.stepOfEvent[event])])
      entered[event * words + rank / 64] |= 1 << UInt64(rank % 64)
      for word in 0..<words { left[rank * words + word] |= entered[event * words + word] }
    }
    for rank in 0..<rankCount {
      for other in 0..<rankCount where other != rank && left[rank * words + other / 64] >> UInt64(other % 64) & 1 == 0 {
        throw failure(
          .postcondition, rank: rank, expected: "rank \(rank) to leave after rank \(other) has entered",
          found: "nothing rank \(rank) waits for follows from rank \(other)")
      }
    }
  }
}
