import TuttiAlgorithms

/// Recursive multiplying (Ruefenacht, Bull & Booth, Parallel Computing 69, 2017): recursive doubling for any rank count.
///
/// The rank count's prime factors are the digits of a rank's number. In each round the ranks that differ in one digit only
/// send each other all they have, and fold it in the order of that digit. 12 ranks take three rounds, of 2, 2 and 3 ranks.
public struct MixedRadixAllReduce: Algorithm {
  public var name: String { foldsOwnFirst ? "mixed-radix-broken" : "mixed-radix" }
  public var collective: Collective { .allReduce }
  private let foldsOwnFirst: Bool

  /// - Parameter foldsOwnFirst: The mistake that the proof finds: each rank folds its own value before the others'.
  public init(foldsOwnFirst: Bool = false) { self.foldsOwnFirst = foldsOwnFirst }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    if rankCount == 1 { program.copy([.output(0)], from: [.input(0)]) }
    var place = ChunkRange.input(0)
    var stride = 1
    while stride < rankCount {
      let factor = (2...rankCount).first { rankCount / stride % $0 == 0 }!
      let digit = rank / stride % factor
      let group = (0..<factor).map { rank + ($0 - digit) * stride }
      // From the next rank on, so that not all send to the first one first. Copied: what is sent is overwritten in this
      // round.
      program.send([place], to: Array(group[(digit + 1)...] + group[..<digit]), lifetime: .copied)
      let own = ScheduleBuilder.Operand.chunks([place])
      var operands = group.map { $0 == rank ? own : program.receiveSlot([.output(0)], from: $0) }
      if foldsOwnFirst { operands.swapAt(0, digit) }
      stride *= factor
      program.reduce([.output(0)], operands, completes: stride == rankCount)
      place = .output(0)
    }
    return program.finish()
  }
}
