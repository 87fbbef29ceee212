@testable import Tutti

/// Inputs whose sums, minima and maxima are exact in every type and order, and the results they must give.
struct Pattern: Sendable {
  let rankCount: Int
  let type: DataType
  let operation: ReduceOp
  let salt: Int
  /// The values repeat every 13 elements; the bits of the results are made once.
  private let expected: [UInt64]

  init(rankCount: Int, type: DataType, operation: ReduceOp, salt: Int) {
    self.rankCount = rankCount
    self.type = type
    self.operation = operation
    self.salt = salt
    expected = (0..<13).map { index in
      let values = (0..<rankCount).map { Self.value(rank: $0, index: index, salt: salt) }
      let result =
        switch operation {
        case .sum: values.reduce(0, +)
        case .min: values.min()!
        case .max: values.max()!
        }
      return Self.bits(of: result, type)
    }
  }

  private static func value(rank: Int, index: Int, salt: Int) -> Int { (rank * 7 + index * 3 + salt) % 13 - 6 }

  static func bits(of value: Int, _ type: DataType) -> UInt64 {
    switch type {
    case .int32: UInt64(UInt32(bitPattern: Int32(value)))
    case .int64: UInt64(bitPattern: Int64(value))
    case .float32: UInt64(Float(value).bitPattern)
    case .float64: Double(value).bitPattern
    }
  }

  func value(rank: Int, index: Int) -> Int { Self.value(rank: rank, index: index, salt: salt) }

  /// Writes one value as an element. `memory` may be unaligned.
  func store(_ value: Int, at index: Int, of memory: UnsafeMutableRawPointer) {
    let offset = index * type.size
    switch type {
    case .int32: memory.storeBytes(of: Int32(value), toByteOffset: offset, as: Int32.self)
    case .int64: memory.storeBytes(of: Int64(value), toByteOffset: offset, as: Int64.self)
    case .float32: memory.storeBytes(of: Float(value), toByteOffset: offset, as: Float.self)
    case .float64: memory.storeBytes(of: Double(value), toByteOffset: offset, as: Double.self)
    }
  }

  /// The element as bits, and the bits that the result must have.
  func bits(at index: Int, of memory: UnsafeRawPointer) -> UInt64 {
    type.size == 4
      ? UInt64(memory.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      : memory.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
  }

  func expectedBits(index: Int) -> UInt64 { expected[index % 13] }
}

/// Input and output of one call of one rank: at any alignment, guarded on both sides.
final class CallMemory: @unchecked Sendable {
  // @unchecked: one rank's thread uses it; a started operation does so until its wait returns.
  static let guardBytes = 64

  let pattern: Pattern
  let count: Int
  let isInPlace: Bool
  let input: UnsafeMutableRawPointer
  let output: UnsafeMutableRawPointer
  private let memory: UnsafeMutableRawPointer
  private let byteCount: Int
  private let rank: Int

  init(_ pattern: Pattern, rank: Int, count: Int, inPlace: Bool, misalignment: Int = 0) {
    self.pattern = pattern
    self.count = count
    self.rank = rank
    isInPlace = inPlace
    let bytes = count * pattern.type.size
    byteCount = 2 * (bytes + 3 * Self.guardBytes)
    memory = .allocate(byteCount: byteCount, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: byteCount)
    output = memory + Self.guardBytes + misalignment
    input = inPlace ? output : output + bytes + 2 * Self.guardBytes
    for index in 0..<count { pattern.store(pattern.value(rank: rank, index: index), at: index, of: input) }
  }

  deinit { memory.deallocate() }

  /// The first thing wrong with the result, or nil.
  func firstError() -> String? {
    for index in 0..<count where pattern.bits(at: index, of: output) != pattern.expectedBits(index: index) {
      return
        "rank \(rank): element \(index) of \(count) is \(pattern.bits(at: index, of: output)), not \(pattern.expectedBits(index: index))"
    }
    let bytes = count * pattern.type.size
    for offset in -32..<0 where (output + offset).load(as: UInt8.self) != 0xA5 {
      return "rank \(rank): a byte before the output was written"
    }
    for offset in bytes..<bytes + 32 where (output + offset).load(as: UInt8.self) != 0xA5 {
      return "rank \(rank): a byte after the output was written"
    }
    if !isInPlace {
      for index in 0..<count where pattern.bits(at: index, of: input) != inputBits(index) {
        return "rank \(rank): input \(index) was written"
      }
    }
    return nil
  }

  private func inputBits(_ index: Int) -> UInt64 {
    Pattern.bits(of: pattern.value(rank: rank, index: index), pattern.type)
  }
}
