import TuttiSchedule

/// Reduce-scatter in which ranks meet now to the one side, now to the other, in ceil(log2 n) rounds and with the fewest
/// bytes possible; see ``SwingRounds``.
///
/// Both variants meet the same ranks. `swing` sends most where ranks are nearest, in messages of blocks that lie apart;
/// `bine` sends neighbouring blocks, in one or two ranges a message at powers of two and in few otherwise, and most of them
/// far. At an odd rank count the last rank exchanges a block with each of the others. Partial results are in scratch.
public struct SwingReduceScatter: Algorithm {
  public let name: String
  public var collective: Collective { .reduceScatter }
  private let order: SwingRounds.Order

  /// De Sensi, Bonato, Saam & Hoefler, *Swing: Short-cutting Rings for Higher Bandwidth Allreduce*, NSDI 2024.
  public static let swing = SwingReduceScatter(name: "swing", order: .nearLast)
  /// De Sensi et al., *Bine Trees*, SC 2025: the butterfly whose blocks are in a row.
  public static let bine = SwingReduceScatter(name: "bine", order: .nearFirst)

  private init(name: String, order: SwingRounds.Order) {
    self.name = name
    self.order = order
  }

  public func schedule(for position: Position) -> Schedule {
    let rankCount = position.rankCount
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(
      .reduceScatter, for: position, chunkCount: rankCount, scratchCount: SwingRounds.scratchCount(order))
    SwingRounds(rankCount: rankCount, order).addReduceScatter(&program, partials: .scratch)
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    SwingRounds(rankCount: grouping.rankCount, order).cost(scatters: true, gathers: false)
  }
}

/// All-gather in which ranks meet now to the one side, now to the other: the rounds of ``SwingReduceScatter`` backwards.
///
/// Blocks are received where they belong.
public struct SwingAllGather: Algorithm {
  public let name: String
  public var collective: Collective { .allGather }
  private let order: SwingRounds.Order

  /// De Sensi, Bonato, Saam & Hoefler, *Swing: Short-cutting Rings for Higher Bandwidth Allreduce*, NSDI 2024.
  public static let swing = SwingAllGather(name: "swing", order: .nearLast)
  /// De Sensi et al., *Bine Trees*, SC 2025: the butterfly whose blocks are in a row.
  public static let bine = SwingAllGather(name: "bine", order: .nearFirst)

  private init(name: String, order: SwingRounds.Order) {
    self.name = name
    self.order = order
  }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    program.copy([.output(rank)], from: [.input(rank)])
    SwingRounds(rankCount: rankCount, order).addAllGather(&program, own: .input)
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    SwingRounds(rankCount: grouping.rankCount, order).cost(scatters: false, gathers: true)
  }
}
