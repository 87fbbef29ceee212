import TuttiSchedule

// What distance-doubling and recursive halving share as reduce-scatters: who folds, and where its blocks lie meanwhile.
extension ScheduleBuilder {
  /// Adds a rank's part of a reduce-scatter between as many ranks as are a power of two, where the others fold into their
  /// neighbours first and get their block at the end. Chunks are blocks, and scratch 0 has room for all of them.
  ///
  /// - Parameter exchange: Adds what a rank that takes part does with the others, given where its blocks lie: until its own
  ///   is in the output, and that of the rank before it in scratch 0 where that one has folded.
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
