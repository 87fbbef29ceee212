import Tutti

/// Gives the inputs of a reduction and its exact result, whatever the order and the grouping in which ranks are combined.
///
/// So no result needs a tolerance. Integers are full-range random bits, because they wrap. Floating-point inputs are chosen
/// so that every partial result is exact: small integers for sums, few powers of two for products. A bound on the whole
/// holds for every subset of the ranks, too. An average rounds once, the quotient of the exact sum. An average of a 16-bit
/// type divides each contribution, so contributions are multiples of the rank count or, where the type has none, come from
/// one rank alone.
package struct ReductionValues {
  private let type: DataType
  private let operation: ReduceOp
  private let rankCount: Int

  /// - Parameter operation: An operation that is defined for the type.
  package init(type: DataType, operation: ReduceOp, rankCount: Int) {
    precondition(operation.isDefined(for: type) && rankCount > 0)
    self.type = type
    self.operation = operation
    self.rankCount = rankCount
  }

  /// The bits of rank `rank`'s input for a class of elements.
  package func input(rank: Int, class number: Int) -> UInt64 {
    type.isInteger ? integer(rank, number) : bits(float(rank, number))
  }

  /// The bits of the result for a class of elements.
  package func result(class number: Int) -> UInt64 {
    if type.isInteger { return (1..<rankCount).reduce(integer(0, number)) { combined($0, integer($1, number)) } }
    let result = (1..<rankCount).reduce(float(0, number)) { combined($0, float($1, number)) }
    return operation == .average ? averageBits(result) : bits(result)
  }

  private func random(_ rank: Int, _ number: Int, _ round: UInt64 = 0) -> UInt64 {
    mixed(UInt64(rank * PatternTable.period + number) &* 0x9E37_79B9_7F4A_7C15 &+ round &+ 1)
  }

  /// Whether a rank is one of the at most `most` ranks that contribute to a class; more contributions would add up to too
  /// much.
  private func contributes(_ rank: Int, _ number: Int, most: Int) -> Bool {
    (rank + number) % ((rankCount + most - 1) / most) == 0
  }

  // MARK: Integers, as 64 bits of which the type's lowest count; signed ones are sign-extended

  private func integer(_ rank: Int, _ number: Int) -> UInt64 {
    let value = random(rank, number)
    if type == .bool { return truth(rank, number, value) }
    switch operation {
    // Even factors would turn many products into zero.
    case .product: return value | 1
    case .bitwiseAnd: return ~rareOnes(rank, number)
    case .bitwiseOr: return rareOnes(rank, number)
    case .sum, .bitwiseXor, .average: return value
    case .min, .max: return isSigned ? signExtended(value) : value & UInt64.max >> UInt64(64 - 8 * type.size)
    }
  }

  /// Bits of which each is set on about one rank, so that each rank shows in an `and` or `or`.
  private func rareOnes(_ rank: Int, _ number: Int) -> UInt64 {
    var value = random(rank, number)
    var share = 2
    var round: UInt64 = 1
    while share < rankCount {
      value &= random(rank, number, round)
      share *= 2
      round += 1
    }
    return value
  }

  /// A bool, so that each rank shows in what decides the result.
  private func truth(_ rank: Int, _ number: Int, _ value: UInt64) -> UInt64 {
    switch operation {
    case .sum, .max, .bitwiseOr: rareOnes(rank, number) & 1
    case .product, .min, .bitwiseAnd: ~rareOnes(rank, number) & 1
    case .bitwiseXor, .average: value & 1
    }
  }

  private var isSigned: Bool { type == .int8 || type == .int16 || type == .int32 || type == .int64 }

  private func signExtended(_ value: UInt64) -> UInt64 {
    let shift = UInt64(64 - 8 * type.size)
    return UInt64(bitPattern: Int64(bitPattern: value << shift) >> Int64(shift))
  }

  private func combined(_ a: UInt64, _ b: UInt64) -> UInt64 {
    switch operation {
    case .sum where type == .bool: a | b
    case .sum, .average: a &+ b
    case .product: a &* b
    case .min: isSigned ? UInt64(bitPattern: min(Int64(bitPattern: a), Int64(bitPattern: b))) : min(a, b)
    case .max: isSigned ? UInt64(bitPattern: max(Int64(bitPattern: a), Int64(bitPattern: b))) : max(a, b)
    case .bitwiseAnd: a & b
    case .bitwiseOr: a | b
    case .bitwiseXor: a ^ b
    }
  }

  // MARK: Floating-point, as doubles, which hold every value of the smaller types

  private func float(_ rank: Int, _ number: Int) -> Double {
    let value = random(rank, number)
    switch operation {
    case .average where type.size == 2: return dividend(rank, number, value)
    case .sum, .average:
      let most = exactIntegerMax
      let amplitude = max(1, min(510, most / rankCount))
      guard contributes(rank, number, most: most / amplitude) else { return 0 }
      return Double(Int(value % UInt64(2 * amplitude + 1)) - amplitude)
    case .product:
      let sign = value & 1 == 0 ? 1.0 : -1.0
      guard contributes(rank, number, most: exponentMax) else { return sign }
      return sign * [0.5, 1, 2][Int(value >> 1 % 3)]
    // Any numbers will do; these are neither zero, nor denormal, nor infinite, nor not a number.
    case .min, .max, .bitwiseAnd, .bitwiseOr, .bitwiseXor:
      switch type {
      case .float16: return Double(Float16(bitPattern: UInt16(truncatingIfNeeded: value) & 0xBFFF | 0x0400))
      case .bfloat16: return Double(Float(BFloat16(bitPattern: UInt16(truncatingIfNeeded: value) & 0xBFFF | 0x0080)))
      case .float32: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: value) & 0xBFFF_FFFF | 0x0080_0000))
      default: return Double(bitPattern: value & 0xBFFF_FFFF_FFFF_FFFF | 0x0010_0000_0000_0000)
      }
    }
  }

  /// A contribution to an average that divides each of them, chosen so that the parts of the average are exact.
  private func dividend(_ rank: Int, _ number: Int, _ value: UInt64) -> Double {
    let multiples = exactIntegerMax / rankCount
    guard multiples > 0 else {
      return contributes(rank, number, most: 1) ? Double(Int(value % 511) - 255) : 0
    }
    let amplitude = min(510, multiples)
    guard contributes(rank, number, most: exactIntegerMax / amplitude) else { return 0 }
    return Double((Int(value % UInt64(2 * amplitude + 1)) - amplitude) * rankCount)
  }

  private func combined(_ a: Double, _ b: Double) -> Double {
    switch operation {
    case .product: a * b
    case .min: min(a, b)
    case .max: max(a, b)
    case .sum, .average, .bitwiseAnd, .bitwiseOr, .bitwiseXor: a + b
    }
  }

  /// The largest integer up to which the type has all integers.
  private var exactIntegerMax: Int {
    switch type {
    case .float16: 1 << 11
    case .bfloat16: 1 << 8
    case .float32: 1 << 24
    default: 1 << 53
    }
  }

  /// The largest number of factors of 2, or of 1/2, whose product is a normal number.
  private var exponentMax: Int {
    switch type {
    case .float16: 14
    case .bfloat16, .float32: 126
    default: 1022
    }
  }

  /// The bits of a value that the type can represent.
  private func bits(_ value: Double) -> UInt64 {
    switch type {
    case .float16: UInt64(Float16(value).bitPattern)
    case .bfloat16: UInt64(BFloat16(Float(value)).bitPattern)
    case .float32: UInt64(Float(value).bitPattern)
    default: value.bitPattern
    }
  }

  /// The quotient as the library rounds it: in float32 for the 16-bit types, and then to them.
  private func averageBits(_ sum: Double) -> UInt64 {
    switch type {
    case .float16: UInt64(Float16(Float(sum) / Float(rankCount)).bitPattern)
    case .bfloat16: UInt64(BFloat16(Float(sum) / Float(rankCount)).bitPattern)
    case .float32: UInt64((Float(sum) / Float(rankCount)).bitPattern)
    default: (sum / Double(rankCount)).bitPattern
    }
  }
}
