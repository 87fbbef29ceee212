import TuttiSchedule

/// Recursive doubling (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): log2 n exchanges of everything, for small
/// messages.
///
/// Where the rank count is no power of two, pairs at the front fold into one rank first and are told the result at the end.
/// Both sides of an exchange combine the lower ranks' value with the higher ranks' value, so results fold in rank order.
/// Exchanges are copied sends: both sides overwrite what they send with what they receive.
public struct RecursiveDoublingAllReduce: Algorithm {
  public var name: String { "recursive-doubling" }
  public var identifier: UInt8 { 3 }
  public var collective: Collective { .allReduce }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(rank: rank) }
    var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    var power = 1
    while power * 2 <= rankCount { power *= 2 }
    // Ranks below `folded` form pairs; the odd one of each takes part in the exchanges.
    let folded = 2 * (rankCount - power)
    if rank < folded && rank % 2 == 0 {
      program.send([.input(0)], to: rank + 1)
      program.receive([.output(0)], from: rank + 1)
      return program.finish()
    }

    var value = ScheduleBuilder.Operand.input(0)
    var place = ChunkRange.input(0)
    func combine(with peer: Int, theirs: ScheduleBuilder.Operand) {
      program.reduce([.output(0)], peer < rank ? [theirs, value] : [value, theirs])
      value = .output(0)
      place = .output(0)
    }
    if rank < folded {
      combine(with: rank - 1, theirs: program.receiveSlot([.output(0)], from: rank - 1))
    }
    let position = rank < folded ? rank / 2 : rank - folded / 2
    var distance = 1
    while distance < power {
      let other = position ^ distance
      let peer = other < folded / 2 ? other * 2 + 1 : other + folded / 2
      program.send([place], to: peer, lifetime: .copied)
      combine(with: peer, theirs: program.receiveSlot([.output(0)], from: peer))
      distance *= 2
    }
    if rank < folded { program.send([.output(0)], to: rank - 1) }
    return program.finish()
  }
}
