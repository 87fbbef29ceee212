import TuttiSchedule

/// Double binary tree all-reduce (Sanders, Speck & Träff, Parallel Computing 35(12), 2009): two trees, on a channel each,
/// reduce half of the data each towards their roots and send it back down. Every rank is interior in at most one tree.
///
/// Each half is one message; segments pipeline it. A rank folds the subtree before it, itself and the subtree after it at
/// once.
public struct DoubleBinaryTreeAllReduce: Algorithm {
  public var name: String { "double-binary-tree" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 2, channelCount: 2)
    for half in 0..<2 {
      program.channel = half
      let tree = BinaryTree(rankCount: rankCount, second: half == 1)
      let parent = tree.parent(of: rank)
      let left = tree.leftChild(of: rank)
      let right = tree.rightChild(of: rank)
      if left == nil && right == nil {
        if let parent { program.send([.input(half)], to: parent) }
      } else {
        var operands = [ScheduleBuilder.Operand.input(half)]
        if let left { operands.insert(program.receiveSlot([.output(half)], from: left), at: 0) }
        if let right { operands.append(program.receiveSlot([.output(half)], from: right)) }
        if let parent {
          program.forward([.output(half)], operands, to: parent)
        } else {
          program.reduce([.output(half)], operands, completes: true)
        }
      }
      if let parent { program.receive([.output(half)], from: parent) }
      program.send([.output(half)], to: [left, right].compactMap { $0 })
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    // A rank has up to three neighbours in the tree it is interior in, and one in the other; in both, one message each way.
    let neighbours = min(rankCount, 4) - (rankCount == 1 ? 1 : 0)
    return AlgorithmCost(
      rounds: 2 * rankCount.floorLog2, messages: neighbours, volume: Double(neighbours) / 2,
      totalMessages: 4 * (rankCount - 1), totalVolume: 2 * Double(rankCount - 1))
  }
}
