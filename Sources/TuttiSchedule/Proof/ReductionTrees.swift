/// The symbolic values of the verifier: they record who was combined with whom, in which order and grouping.
///
/// Every tree is binary: a combine of more operands is the combines of two that it stands for, as its ``FoldOrder`` says.
/// Left to right, the partial results in between are *wide*: 16-bit floats are not rounded there, so such a tree is another
/// one than that of separate combines. Equal trees have equal numbers, where the operands of a combine count as equal in
/// either order: all combines are bitwise commutative. Leaves come first: that of cell c and rank r is `c * rankCount + r`.
struct ReductionTrees {
  /// A combine of two.
  private struct Node: Equatable {
    var left: Int32
    var right: Int32
    /// A partial result within one combine.
    var isWide: Bool

    var hash: UInt64 {
      var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
      for word in [UInt32(bitPattern: left), UInt32(bitPattern: right), isWide ? 1 : 0] {
        hash = (hash ^ UInt64(word)) &* 0xD6E8_FEB8_6659_FD93
        hash ^= hash >> 32
      }
      return hash
    }
  }

  let rankCount: Int
  private let words: Int
  private let leafCount: Int
  /// By tree: ranks contained, `words` each.
  private var contained: [UInt64]
  /// By tree: the cell all leaves belong to, or -1 when they do not.
  private var cells: [Int32]
  /// By tree: a rank that is contained more than once, or -1.
  private var repeated: [Int32]
  /// By tree: what it is whichever cell it belongs to.
  private var folds: [FoldTree]
  /// By tree that is not a leaf.
  private var nodes: [Node] = []
  /// Open addressing; -1 is free. A power of two, at most half full.
  private var table: [Int32]

  init(rankCount: Int, cellCount: Int) {
    self.rankCount = rankCount
    words = (rankCount + 63) / 64
    leafCount = rankCount * cellCount
    contained = Array(repeating: 0, count: leafCount * words)
    cells = Array(repeating: 0, count: leafCount)
    repeated = Array(repeating: -1, count: leafCount)
    folds = (0..<cellCount).flatMap { _ in (0..<rankCount).map(FoldTree.rank) }
    for cell in 0..<cellCount {
      for rank in 0..<rankCount {
        let leaf = cell * rankCount + rank
        contained[leaf * words + rank / 64] = 1 << UInt64(rank % 64)
        cells[leaf] = Int32(cell)
      }
    }
    table = Array(repeating: -1, count: 1024)
  }

  func leaf(cell: Int, rank: Int) -> Int32 { Int32(cell * rankCount + rank) }
  func isLeaf(_ tree: Int32) -> Bool { Int(tree) < leafCount }
  func cell(_ tree: Int32) -> Int32 { cells[Int(tree)] }
  func repeatedRank(_ tree: Int32) -> Int32 { repeated[Int(tree)] }
  func fold(_ tree: Int32) -> FoldTree { folds[Int(tree)] }

  /// A rank whose contribution is not in the tree, or nil.
  func missingRank(_ tree: Int32) -> Int? {
    (0..<rankCount).first { contained[Int(tree) * words + $0 / 64] >> UInt64($0 % 64) & 1 == 0 }
  }

  /// Whether every rank's contribution is in the tree.
  func isComplete(_ tree: Int32) -> Bool {
    for word in 0..<words {
      let bits = min(rankCount - word * 64, 64)
      let full = bits == 64 ? UInt64.max : (1 << UInt64(bits)) - 1
      if contained[Int(tree) * words + word] != full { return false }
    }
    return true
  }

  /// The combination of the trees. Uses up `list`. Precondition: at least two.
  mutating func combine(_ list: inout [Int32], _ order: FoldOrder) -> Int32 {
    switch order {
    case .leftToRight:
      var result = list[0]
      for index in 1..<list.count { result = combine(result, list[index], isWide: index < list.count - 1) }
      return result
    case .balanced:
      if list.count == 1 { return list[0] }
      let operandCount = list.count
      list += repeatElement(-1, count: BalancedFold.blockCount(operandCount: operandCount))
      func index(_ operand: Int) -> Int { operand >= 0 ? operand : operandCount + ~operand }
      var fold = BalancedFold(operandCount: operandCount)
      var result: Int32 = -1
      while let next = fold.next() {
        result = combine(list[index(next.left)], list[index(next.right)], isWide: false)
        if !next.isLast { list[index(next.result)] = result }
      }
      return result
    }
  }

  private mutating func combine(_ left: Int32, _ right: Int32, isWide: Bool) -> Int32 {
    // A wide operand stays in front, where it was made.
    let swaps = left > right && !isWideTree(left)
    let node = Node(left: swaps ? right : left, right: swaps ? left : right, isWide: isWide)
    var slot = Int(truncatingIfNeeded: node.hash) & (table.count - 1)
    while table[slot] >= 0 {
      if nodes[Int(table[slot]) - leafCount] == node { return table[slot] }
      slot = (slot + 1) & (table.count - 1)
    }
    let tree = insert(node)
    table[slot] = tree
    if nodes.count * 2 >= table.count { grow() }
    return tree
  }

  private func isWideTree(_ tree: Int32) -> Bool { Int(tree) >= leafCount && nodes[Int(tree) - leafCount].isWide }

  private mutating func insert(_ node: Node) -> Int32 {
    let tree = cells.count
    let (left, right) = (Int(node.left), Int(node.right))
    var again = max(repeated[left], repeated[right])
    for word in 0..<words {
      let (mine, theirs) = (contained[left * words + word], contained[right * words + word])
      if mine & theirs != 0, again < 0 { again = Int32(word * 64 + (mine & theirs).trailingZeroBitCount) }
      contained.append(mine | theirs)
    }
    cells.append(cells[left] == cells[right] ? cells[left] : -1)
    repeated.append(again)
    folds.append(node.isWide ? .wide(folds[left], folds[right]) : .combined(folds[left], folds[right]))
    nodes.append(node)
    return Int32(tree)
  }

  private mutating func grow() {
    table = Array(repeating: -1, count: table.count * 2)
    for (index, node) in nodes.enumerated() {
      var slot = Int(truncatingIfNeeded: node.hash) & (table.count - 1)
      while table[slot] >= 0 { slot = (slot + 1) & (table.count - 1) }
      table[slot] = Int32(leafCount + index)
    }
  }

  /// Writes the tree as ranks and parentheses, cut at `limit` characters: `(0+1+2)` is one combine, `((0+1)+2)` are two.
  func text(_ tree: Int32, limit: Int = 72) -> String {
    var text = ""
    append(tree, to: &text, limit)
    return text.count > limit ? text.prefix(limit) + "..." : text
  }

  private func append(_ tree: Int32, to text: inout String, _ limit: Int) {
    guard text.count <= limit else { return }
    guard Int(tree) >= leafCount else {
      text += String(Int(tree) % rankCount)
      return
    }
    let node = nodes[Int(tree) - leafCount]
    if !node.isWide { text += "(" }
    append(node.left, to: &text, limit)
    text += "+"
    append(node.right, to: &text, limit)
    if !node.isWide { text += ")" }
  }
}
