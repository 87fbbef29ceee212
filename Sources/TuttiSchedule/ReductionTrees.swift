/// The symbolic values of the verifier: who was combined with whom, in which order and grouping.
///
/// Equal trees have equal numbers, where the first two operands of a combine count as equal in either order: all combines
/// are bitwise commutative. Leaves come first: that of cell c and rank r is `c * rankCount + r`.
struct ReductionTrees {
  let rankCount: Int
  private let words: Int
  private let leafCount: Int
  /// By tree: ranks contained, `words` each.
  private var contained: [UInt64]
  /// By tree: the cell all leaves belong to, or -1 when they do not.
  private var cells: [Int32]
  /// By tree: a rank that is contained more than once, or -1.
  private var repeated: [Int32]
  /// By tree that is not a leaf: its operands.
  private var operandBase: [Int] = [0]
  private var operands: [Int32] = []
  /// Open addressing; -1 is free. A power of two, at most half full.
  private var table: [Int32]

  init(rankCount: Int, cellCount: Int) {
    self.rankCount = rankCount
    words = (rankCount + 63) / 64
    leafCount = rankCount * cellCount
    contained = Array(repeating: 0, count: leafCount * words)
    cells = Array(repeating: 0, count: leafCount)
    repeated = Array(repeating: -1, count: leafCount)
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

  /// The combination of the trees, left to right. Reorders the first two in `list`. Precondition: at least two.
  mutating func combine(_ list: inout [Int32]) -> Int32 {
    if list[0] > list[1] { list.swapAt(0, 1) }
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    for operand in list {
      hash = (hash ^ UInt64(UInt32(bitPattern: operand))) &* 0xD6E8_FEB8_6659_FD93
      hash ^= hash >> 32
    }
    var slot = Int(truncatingIfNeeded: hash) & (table.count - 1)
    while table[slot] >= 0 {
      if isEqual(table[slot], list) { return table[slot] }
      slot = (slot + 1) & (table.count - 1)
    }
    let tree = insert(list)
    table[slot] = tree
    if (Int(tree) - leafCount) * 2 >= table.count { grow() }
    return tree
  }

  private func isEqual(_ tree: Int32, _ list: [Int32]) -> Bool {
    let base = operandBase[Int(tree) - leafCount]
    guard operandBase[Int(tree) - leafCount + 1] - base == list.count else { return false }
    for index in list.indices where operands[base + index] != list[index] { return false }
    return true
  }

  private mutating func insert(_ list: [Int32]) -> Int32 {
    let tree = cells.count
    var again: Int32 = -1
    var cell = cells[Int(list[0])]
    for word in 0..<words {
      var sum: UInt64 = 0
      for operand in list {
        let part = contained[Int(operand) * words + word]
        if sum & part != 0, again < 0 { again = Int32(word * 64 + (sum & part).trailingZeroBitCount) }
        sum |= part
      }
      contained.append(sum)
    }
    for operand in list {
      if repeated[Int(operand)] >= 0 { again = repeated[Int(operand)] }
      if cells[Int(operand)] != cell { cell = -1 }
    }
    cells.append(cell)
    repeated.append(again)
    operands.append(contentsOf: list)
    operandBase.append(operands.count)
    return Int32(tree)
  }

  private mutating func grow() {
    table = Array(repeating: -1, count: table.count * 2)
    for tree in leafCount..<cells.count {
      var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
      for operand in operands[operandBase[tree - leafCount]..<operandBase[tree - leafCount + 1]] {
        hash = (hash ^ UInt64(UInt32(bitPattern: operand))) &* 0xD6E8_FEB8_6659_FD93
        hash ^= hash >> 32
      }
      var slot = Int(truncatingIfNeeded: hash) & (table.count - 1)
      while table[slot] >= 0 { slot = (slot + 1) & (table.count - 1) }
      table[slot] = Int32(tree)
    }
  }

  /// The tree as ranks and parentheses, `((0+1)+2)`, cut at `limit` characters.
  func text(_ tree: Int32, limit: Int = 72) -> String {
    var text = ""
    func append(_ tree: Int32) {
      guard text.count <= limit else { return }
      guard Int(tree) >= leafCount else {
        text += String(Int(tree) % rankCount)
        return
      }
      text += "("
      for index in operandBase[Int(tree) - leafCount]..<operandBase[Int(tree) - leafCount + 1] {
        if index > operandBase[Int(tree) - leafCount] { text += "+" }
        append(operands[index])
      }
      text += ")"
    }
    append(tree)
    return text.count > limit ? text.prefix(limit) + "..." : text
  }
}
