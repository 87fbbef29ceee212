import TuttiSchedule

// What distance-doubling and recursive halving share as reduce-scatters: who folds, and where its blocks lie meanwhile.
extension ScheduleBuilder {
  /// Adds a rank's part of a reduce-scatter among a power of two of the ranks; the others fold into their neighbours
  /// first and get their block at the end. Chunks are blocks, and scratch 0 has room for all of them.
  ///
  /// - Parameter exchange: Adds the exchanges of a rank that takes part, given the buffer in which its blocks lie. They
  ///   leave its own block in the output and, if the rank before it has folded, that rank's block in scratch 0.
  mutating func addReduceScatter(
    _ folding: PairFolding, _ rank: Int, _ rankCount: Int, exchange: (inout ScheduleBuilder, Buffer) -> Void
  ) {
    if folding.isFolded(rank) {
      send([ChunkRange(.input, 0..<rankCount)], to: rank + 1)
      receive([.output(rank)], from: rank + 1)
      return
    }
    guard folding.hasPartner(rank) else { return exchange(&self, .input) }
    let theirs = receiveSlot([.output(0..<rankCount)], from: rank - 1)
    reduce([.scratch(0, 0..<rankCount)], [theirs, .input(0..<rankCount)])
    exchange(&self, .scratch(0))
    send([.scratch(0, rank - 1..<rank)], to: rank - 1)
  }
}
