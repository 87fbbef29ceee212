import TuttiSchedule

/// All-reduce that reduces and broadcasts along one tree, in the order of the ranks, pipelined by segments.
///
/// Every rank folds the ranks below it and itself at once and passes the result on without storing it; the root's goes back
/// down the same tree. A subtree is a range of ranks, so results fold in rank order.
public struct TreeAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let shape: RankTree.Shape

  /// A binomial tree (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): the fewest messages to rank 0 one after the other.
  public static let binomial = TreeAllReduce(name: "binomial", shape: .binomial)
  /// A tree of four children: flatter than a binary one, with one fold of up to five operands on each rank.
  public static let kAry = TreeAllReduce(name: "k-ary", shape: .kAry(4))
  /// A chain to the last rank and back: each rank sends the data only twice, whatever the rank count.
  public static let reduceBroadcast = TreeAllReduce(name: "reduce-broadcast", shape: .chain)

  private init(name: String, shape: RankTree.Shape) {
    self.name = name
    self.shape = shape
  }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    let tree = RankTree(shape, rank: rank, rankCount: rankCount)
    let slots = tree.children.map { program.receiveSlot([.output(0)], from: $0) }
    // Children are all before the rank, or all after it.
    let isAfterChildren = (tree.children.first ?? rank) < rank
    let operands = isAfterChildren ? slots + [.input(0)] : [.input(0)] + slots
    if let parent = tree.parent {
      if slots.isEmpty { program.send([.input(0)], to: parent) } else { program.forward([.output(0)], operands, to: parent) }
      program.receive([.output(0)], from: parent)
    } else {
      program.reduce([.output(0)], operands, completes: true)
    }
    // The largest subtrees first.
    program.send([.output(0)], to: tree.children.reversed())
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let busiest = RankTree.mostNeighbours(shape, rankCount: rankCount)
    return AlgorithmCost(
      rounds: 2 * RankTree.depth(shape, rankCount: rankCount), messages: busiest, volume: Double(busiest),
      totalMessages: 2 * (rankCount - 1), totalVolume: 2 * Double(rankCount - 1))
  }
}
