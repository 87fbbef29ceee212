import TuttiSchedule

/// Reduce and broadcast along one tree, in the order of the ranks, pipelined by segments.
///
/// Every rank folds the ranks below it and itself at once and passes the result on without storing it; the root's goes back
/// down the same tree. A subtree is a range of ranks, so results fold in rank order.
public struct TreeAllReduce: Algorithm {
  public let name: String
  public let identifier: UInt8
  public var collective: Collective { .allReduce }
  private let shape: RankTree.Shape

  /// A binomial tree (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): the fewest messages to rank 0 one after the other.
  public static let binomial = TreeAllReduce(name: "binomial", identifier: 10, shape: .binomial)
  /// A tree of four children: flatter than a binary one, with one fold of up to five operands on each rank.
  public static let kAry = TreeAllReduce(name: "k-ary", identifier: 11, shape: .kAry(4))
  /// A chain to the last rank and back: each rank sends the data only twice, whatever the rank count.
  public static let reduceBroadcast = TreeAllReduce(name: "reduce-broadcast", identifier: 12, shape: .chain)

  private init(name: String, identifier: UInt8, shape: RankTree.Shape) {
    self.name = name
    self.identifier = identifier
    self.shape = shape
  }

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    let place = RankTree(shape, rank: rank, rankCount: rankCount)
    let slots = place.children.map { program.receiveSlot([.output(0)], from: $0) }
    // Children are all before the rank, or all after it.
    let isAfterChildren = (place.children.first ?? rank) < rank
    let operands = isAfterChildren ? slots + [.input(0)] : [.input(0)] + slots
    if let parent = place.parent {
      if slots.isEmpty { program.send([.input(0)], to: parent) } else { program.forward([.output(0)], operands, to: parent) }
      program.receive([.output(0)], from: parent)
    } else {
      program.reduce([.output(0)], operands, completes: true)
    }
    // The largest subtrees first.
    program.send([.output(0)], to: place.children.reversed())
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    let busiest = RankTree.mostNeighbours(shape, rankCount: rankCount)
    return AlgorithmCost(
      rounds: 2 * RankTree.depth(shape, rankCount: rankCount), messages: busiest, volume: Double(busiest),
      totalMessages: 2 * (rankCount - 1), totalVolume: 2 * Double(rankCount - 1))
  }
}

/// A rank's place in a tree whose subtrees are ranges of ranks.
struct RankTree {
  enum Shape: Sendable {
    /// Rank 0 is the root; the parent of a rank is the rank without its lowest bit.
    case binomial
    /// Rank 0 is the root; a subtree's ranks after the first are shared out to so many children, as equally as can be.
    case kAry(Int)
    /// The last rank is the root.
    case chain
  }

  private(set) var parent: Int?
  /// Ascending; all of them on the same side of the rank.
  private(set) var children: [Int] = []

  init(_ shape: Shape, rank: Int, rankCount: Int) {
    switch shape {
    case .binomial:
      parent = RootedBinomialTree.parent(of: rank)
      children = RootedBinomialTree(rankCount: rankCount, root: 0).children(of: rank)
    case .chain:
      parent = rank == rankCount - 1 ? nil : rank + 1
      children = rank == 0 ? [] : [rank - 1]
    case .kAry(let arity):
      var subtree = 0..<rankCount
      while true {
        let below = RankTree.shares(subtree.dropFirst(), arity)
        guard subtree.lowerBound != rank else {
          children = below.map(\.lowerBound)
          break
        }
        parent = subtree.lowerBound
        subtree = below.last { $0.lowerBound <= rank }!
      }
    }
  }

  /// Cuts ranks into so many ranges, as equal as can be, the longer ones first; none of them is empty.
  private static func shares(_ ranks: Range<Int>, _ count: Int) -> [Range<Int>] {
    let (each, more) = ranks.count.quotientAndRemainder(dividingBy: count)
    var start = ranks.lowerBound
    return (0..<min(count, ranks.count)).map { index in
      defer { start += each + (index < more ? 1 : 0) }
      return start..<start + each + (index < more ? 1 : 0)
    }
  }

  /// Messages from the deepest leaf to the root.
  static func depth(_ shape: Shape, rankCount: Int) -> Int {
    switch shape {
    case .binomial: return rankCount.floorLog2
    case .chain: return rankCount - 1
    case .kAry(let arity):
      var (depth, ranks) = (0, rankCount)
      while ranks > 1 {
        ranks = (ranks - 1 + arity - 1) / arity
        depth += 1
      }
      return depth
    }
  }

  /// Neighbours of the rank that has the most.
  static func mostNeighbours(_ shape: Shape, rankCount: Int) -> Int {
    switch shape {
    case .binomial: return rankCount.ceilLog2
    case .chain: return min(rankCount - 1, 2)
    case .kAry(let arity):
      // The root, or its first child, which is the largest.
      let below = min(rankCount - 1, arity)
      let largest = (rankCount - 1 + arity - 1) / arity
      return max(below, largest > 1 ? min(largest - 1, arity) + 1 : 0)
    }
  }
}
