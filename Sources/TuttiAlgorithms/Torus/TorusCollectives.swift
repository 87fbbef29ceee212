import TuttiSchedule

// Rings along the dimensions of a grid of ranks: the levels of its groups are the dimensions.
//
// `torus` keeps the links of all dimensions busy at once: as many parts of the data as there are dimensions take them each
// in another order (Jain & Sabharwal, Optimal bucket algorithms for large MPI collectives on torus interconnects, ICS 2010;
// Sack & Gropp, Collective algorithms for multiported torus networks, ACM TOPC 1(2), 2015). `torus-in-turn` takes one
// dimension after the other, the innermost first (Cho, Finkler, Serrano, Kung & Hunter, BlueConnect, MLSys 2019): of the
// links of outer levels, which are the slow ones in a cluster, it asks least.

/// All-reduce in rings along one dimension of a grid after the other: reduce-scatters on the way out, all-gathers back.
///
/// It moves as few bytes as a ring over all ranks, in 2(d1 - 1) + 2(d2 - 1) + ... messages one after the other for
/// dimensions of sizes d1, d2, ..., instead of 2(d1 d2 ... - 1).
public struct TorusAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let atOnce: Bool

  /// The all-reduce along all dimensions at once.
  public static let torus = TorusAllReduce(name: "torus", atOnce: true)
  /// The all-reduce along one dimension after the other.
  public static let torusInTurn = TorusAllReduce(name: "torus-in-turn", atOnce: false)

  private init(name: String, atOnce: Bool) {
    self.name = name
    self.atOnce = atOnce
  }

  public func isDefined(for grouping: Grouping) -> Bool { TorusGrid.isGrid(grouping) }

  public func schedule(for position: Position) -> Schedule {
    guard position.rankCount > 1 else { return copyOnly(.allReduce) }
    let grid = TorusGrid(position.grouping, atOnce: atOnce)
    var program = ScheduleBuilder(
      .allReduce, for: position, chunkCount: position.rankCount * grid.partCount, channelCount: grid.partCount)
    grid.addReduceScatter(&program, sums: .output, result: .output, .byCut)
    grid.addAllGather(&program, own: .output, .byCut)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { TorusGrid(grouping, atOnce: atOnce).cost(phases: 2) }
}

/// Reduce-scatter in rings along one dimension of a grid after the other: the first half of ``TorusAllReduce``. Partial
/// results are in scratch.
public struct TorusReduceScatter: Algorithm {
  public let name: String
  public var collective: Collective { .reduceScatter }
  private let atOnce: Bool

  /// The reduce-scatter along all dimensions at once.
  public static let torus = TorusReduceScatter(name: "torus", atOnce: true)
  /// The reduce-scatter along one dimension after the other.
  public static let torusInTurn = TorusReduceScatter(name: "torus-in-turn", atOnce: false)

  private init(name: String, atOnce: Bool) {
    self.name = name
    self.atOnce = atOnce
  }

  public func isDefined(for grouping: Grouping) -> Bool { TorusGrid.isGrid(grouping) }

  public func schedule(for position: Position) -> Schedule {
    guard position.rankCount > 1 else { return copyOnly(.reduceScatter) }
    let grid = TorusGrid(position.grouping, atOnce: atOnce)
    var program = ScheduleBuilder(
      .reduceScatter, for: position, chunkCount: position.rankCount * grid.partCount, channelCount: grid.partCount,
      scratchCount: 1)
    grid.addReduceScatter(&program, sums: .scratch(0), result: .output, .byRank)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { TorusGrid(grouping, atOnce: atOnce).cost(phases: 1) }
}

/// All-gather in rings along one dimension of a grid after the other: the second half of ``TorusAllReduce``.
public struct TorusAllGather: Algorithm {
  public let name: String
  public var collective: Collective { .allGather }
  private let atOnce: Bool

  /// The all-gather along all dimensions at once.
  public static let torus = TorusAllGather(name: "torus", atOnce: true)
  /// The all-gather along one dimension after the other.
  public static let torusInTurn = TorusAllGather(name: "torus-in-turn", atOnce: false)

  private init(name: String, atOnce: Bool) {
    self.name = name
    self.atOnce = atOnce
  }

  public func isDefined(for grouping: Grouping) -> Bool { TorusGrid.isGrid(grouping) }

  public func schedule(for position: Position) -> Schedule {
    guard position.rankCount > 1 else { return copyOnly(.allGather) }
    let grid = TorusGrid(position.grouping, atOnce: atOnce)
    var program = ScheduleBuilder(
      .allGather, for: position, chunkCount: position.rankCount * grid.partCount, channelCount: grid.partCount)
    grid.addAllGather(&program, own: .input, .byRank)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { TorusGrid(grouping, atOnce: atOnce).cost(phases: 1) }
}
