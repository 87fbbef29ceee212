import TuttiTesting

@testable import Tutti

/// Inputs whose combinations are exact in every type and order, and the results they must give.
struct Pattern: Sendable {
  let rankCount: Int
  let type: DataType
  let operation: ReduceOp
  let salt: Int
  private let factor: Int
  /// The values repeat every 13 elements; the bits of the results are made once.
  private let expected: [UInt64]

  init(rankCount: Int, type: DataType, operation: ReduceOp, salt: Int) {
    self.rankCount = rankCount
    self.type = type
    self.operation = operation
    self.salt = salt
    // An average of a 16-bit type divides each contribution: multiples leave every part of it exact.
    let factor = operation == .average && type.size == 2 ? rankCount : 1
    self.factor = factor
    expected = (0..<13).map { index in
      let values = (0..<rankCount).map { Self.value(rank: $0, index: index, salt: salt, operation) * factor }
      return ElementBits.combined(values, operation, type)
    }
  }

  private static func value(rank: Int, index: Int, salt: Int, _ operation: ReduceOp) -> Int {
    let value = (rank * 7 + index * 3 + salt) % 13
    // Products of few powers of two are exact in every type.
    return operation == .product ? [1, -1, 2, -2][value % 4] : value - 6
  }

  func value(rank: Int, index: Int) -> Int { Self.value(rank: rank, index: index, salt: salt, operation) * factor }

  /// Writes one value as an element. `memory` may be unaligned.
  func store(_ value: Int, at index: Int, of memory: UnsafeMutableRawPointer) {
    ElementBits.store(ElementBits.bits(of: value, type), at: index, of: memory, size: type.size)
  }

  /// The element as bits, and the bits that the result must have.
  func bits(at index: Int, of memory: UnsafeRawPointer) -> UInt64 { ElementBits.load(index, of: memory, size: type.size) }

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
    ElementBits.bits(of: pattern.value(rank: rank, index: index), pattern.type)
  }
}
