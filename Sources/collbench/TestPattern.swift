import Glibc
import Tutti

/// Inputs whose exact result is known without computing it on a second path: what every run is checked against, bit for bit.
///
/// Element i of rank r is `(7r + class(i)) mod 1021 - 510`. Every value, and every sum over up to 512 ranks, is a small
/// integer, which all types hold exactly whatever the order of summation; so no tolerance is needed. 1021 is prime, so all
/// ranks differ in every class, and the class is a hash of i, so that misplaced data does not happen to fit.
struct TestPattern {
  private static let classCount = 1021

  let type: DataType
  /// The bits of this rank's input for each class.
  private let input: [UInt64]
  /// The bits of the result for each class.
  private let expected: [UInt64]

  init(rank: Int, rankCount: Int, type: DataType, operation: ReduceOp) {
    self.type = type
    let value = { (rank: Int, residue: Int) in (7 * rank + residue) % Self.classCount - 510 }
    input = (0..<Self.classCount).map { Self.bits(value(rank, $0), type) }
    expected = (0..<Self.classCount).map { residue in
      let first = value(0, residue)
      let result = (1..<rankCount).reduce(first) { accumulated, rank in
        switch operation {
        case .sum: accumulated + value(rank, residue)
        case .min: Swift.min(accumulated, value(rank, residue))
        case .max: Swift.max(accumulated, value(rank, residue))
        }
      }
      return Self.bits(result, type)
    }
  }

  /// Writes this rank's input.
  func fill(_ buffer: UnsafeMutableRawPointer, count: Int) {
    switch type.size {
    case 4: Self.fill(buffer.assumingMemoryBound(to: UInt32.self), count, input.map { UInt32(truncatingIfNeeded: $0) })
    default: Self.fill(buffer.assumingMemoryBound(to: UInt64.self), count, input)
    }
  }

  /// Overwrites with bits no result has, so that an element nobody wrote is found.
  func poison(_ buffer: UnsafeMutableRawPointer, count: Int) { memset(buffer, 0xA5, count * type.size) }

  /// - Returns: How many elements differ from the expected result in any bit.
  func wrongElements(_ buffer: UnsafeRawPointer, count: Int) -> Int {
    switch type.size {
    case 4:
      Self.wrong(buffer.assumingMemoryBound(to: UInt32.self), count, expected.map { UInt32(truncatingIfNeeded: $0) })
    default: Self.wrong(buffer.assumingMemoryBound(to: UInt64.self), count, expected)
    }
  }

  private static func bits(_ value: Int, _ type: DataType) -> UInt64 {
    switch type {
    case .int32: UInt64(UInt32(bitPattern: Int32(value)))
    case .int64: UInt64(bitPattern: Int64(value))
    case .float32: UInt64(Float(value).bitPattern)
    case .float64: Double(value).bitPattern
    }
  }

  /// The class of element `index`: the top of a multiplicative (golden ratio) hash, scaled.
  @inline(__always)
  private static func residue(_ index: Int) -> Int {
    let hash = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15 >> 32
    return Int(truncatingIfNeeded: hash &* UInt64(classCount) >> 32)
  }

  @inline(__always)
  private static func fill<Word>(_ buffer: UnsafeMutablePointer<Word>, _ count: Int, _ table: [Word]) {
    table.withUnsafeBufferPointer { table in
      for index in 0..<count { buffer[index] = table[residue(index)] }
    }
  }

  @inline(__always)
  private static func wrong<Word: Equatable>(_ buffer: UnsafePointer<Word>, _ count: Int, _ table: [Word]) -> Int {
    table.withUnsafeBufferPointer { table in
      var wrong = 0
      for index in 0..<count where buffer[index] != table[residue(index)] { wrong += 1 }
      return wrong
    }
  }
}
