import Foundation
import Testing
import Tutti
import TuttiSystem
import collbench

/// The data that results are compared with must be exact, and nothing else may look like it.
@Suite struct PatternTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var type: DataType
    var operation: ReduceOp
    var testDescription: String { "\(operation) of \(type)" }
  }

  static let cases = DataType.allCases.flatMap { type in
    ReduceOp.allCases.filter { $0.isDefined(for: type) }.map { Case(type: type, operation: $0) }
  }

  /// Combines two values as the type itself does, rounding each time.
  private func combined(_ a: UInt64, _ b: UInt64, _ testCase: Case) -> UInt64 {
    func integer<Value: FixedWidthInteger>(_: Value.Type) -> UInt64 {
      let (x, y) = (Value(truncatingIfNeeded: a), Value(truncatingIfNeeded: b))
      let result: Value =
        switch testCase.operation {
        case .sum, .average: x &+ y
        case .product: x &* y
        case .min: Swift.min(x, y)
        case .max: Swift.max(x, y)
        case .bitwiseAnd: x & y
        case .bitwiseOr: x | y
        case .bitwiseXor: x ^ y
        }
      return UInt64(truncatingIfNeeded: result)
    }
    func float<Value: BinaryFloatingPoint>(_ x: Value, _ y: Value) -> Value {
      switch testCase.operation {
      case .product: x * y
      case .min: Value.minimum(x, y)
      case .max: Value.maximum(x, y)
      default: x + y
      }
    }
    switch testCase.type {
    case .int8: return integer(Int8.self)
    case .uint8: return integer(UInt8.self)
    case .int16: return integer(Int16.self)
    case .uint16: return integer(UInt16.self)
    case .bool:
      switch testCase.operation {
      case .sum, .max, .bitwiseOr: return a | b
      case .product, .min, .bitwiseAnd: return a & b
      case .bitwiseXor, .average: return a ^ b
      }
    case .int32: return integer(Int32.self)
    case .uint32: return integer(UInt32.self)
    case .int64: return integer(Int64.self)
    case .uint64: return integer(UInt64.self)
    case .float16:
      return UInt64(float(Float16(bitPattern: UInt16(a)), Float16(bitPattern: UInt16(b))).bitPattern)
    case .bfloat16:
      let (x, y) = (Float(BFloat16(bitPattern: UInt16(a))), Float(BFloat16(bitPattern: UInt16(b))))
      return UInt64(BFloat16(float(x, y)).bitPattern)
    case .float32: return UInt64(float(Float(bitPattern: UInt32(a)), Float(bitPattern: UInt32(b))).bitPattern)
    case .float64: return float(Double(bitPattern: a), Double(bitPattern: b)).bitPattern
    }
  }

  private func divided(_ sum: UInt64, by divisor: Int, _ type: DataType) -> UInt64 {
    switch type {
    case .float16: UInt64(Float16(Float(Float16(bitPattern: UInt16(sum))) / Float(divisor)).bitPattern)
    case .bfloat16: UInt64(BFloat16(Float(BFloat16(bitPattern: UInt16(sum))) / Float(divisor)).bitPattern)
    case .float32: UInt64((Float(bitPattern: UInt32(sum)) / Float(divisor)).bitPattern)
    default: (Double(bitPattern: sum) / Double(divisor)).bitPattern
    }
  }

  /// What a rank puts into a combine. Averages of 16-bit types divide it there; others divide the sum in the end.
  private func contribution(
    _ rank: Int, of rankCount: Int, _ number: Int, _ values: ReductionValues, _ testCase: Case
  ) -> UInt64 {
    let bits = values.input(rank: rank, class: number) & mask(testCase.type)
    return testCase.operation == .average && testCase.type.size == 2 ? divided(bits, by: rankCount, testCase.type) : bits
  }

  private func completed(_ bits: UInt64, of rankCount: Int, _ testCase: Case) -> UInt64 {
    testCase.operation == .average && testCase.type.size != 2 ? divided(bits, by: rankCount, testCase.type) : bits
  }

  private func mask(_ type: DataType) -> UInt64 { UInt64.max >> UInt64(64 - 8 * type.size) }

  /// Neither order nor grouping changes the result, though each combine rounds to the type.
  @Test(arguments: cases) func anyOrderGivesTheResult(_ testCase: Case) {
    let seed =
      ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    for rankCount in [1, 2, 3, 5, 8, 17, 100, 512] {
      let values = ReductionValues(type: testCase.type, operation: testCase.operation, rankCount: rankCount)
      for number in stride(from: 0, to: PatternTable.period, by: rankCount > 50 ? 101 : 11) {
        var left = (0..<rankCount).map { contribution($0, of: rankCount, number, values, testCase) }
        // Any two at a time: every grouping can come up.
        while left.count > 1 {
          let one = left.remove(at: Int.random(in: left.indices, using: &generator))
          let index = Int.random(in: left.indices, using: &generator)
          left[index] = combined(one, left[index], testCase) & mask(testCase.type)
        }
        let found = completed(left[0], of: rankCount, testCase)
        #expect(
          found == values.result(class: number) & mask(testCase.type),
          "\(rankCount) ranks, class \(number), TUTTI_TEST_SEED=\(seed)")
      }
    }
  }

  /// A rank whose contribution is lost, or is there twice, changes the result of some element; min, max, and, or are the
  /// same twice, and so are a bool's sum and product.
  @Test(arguments: cases) func everyRankShows(_ testCase: Case) {
    for rankCount in [2, 5, 64] {
      let values = ReductionValues(type: testCase.type, operation: testCase.operation, rankCount: rankCount)
      let isIdempotent =
        [.min, .max, .bitwiseAnd, .bitwiseOr].contains(testCase.operation)
        || testCase.type == .bool && testCase.operation != .bitwiseXor
      for odd in Set([0, 1, rankCount / 2, rankCount - 1]) {
        for copies in isIdempotent ? [0] : [0, 2] {
          let shows = (0..<PatternTable.period).contains { number in
            let input = { (rank: Int) in contribution(rank, of: rankCount, number, values, testCase) }
            let ranks = (0..<rankCount).flatMap { Array(repeating: $0, count: $0 == odd ? copies : 1) }
            let result = ranks.dropFirst().reduce(input(ranks[0])) {
              combined($0, input($1), testCase) & mask(testCase.type)
            }
            let found = completed(result, of: rankCount, testCase)
            return found != values.result(class: number) & mask(testCase.type)
          }
          #expect(shows, "\(rankCount) ranks, \(copies) times rank \(odd)")
        }
      }
    }
  }

  /// Data that lies elsewhere than it belongs is wrong in most elements, and in the smallest cases in every one.
  @Test(arguments: [DataType.uint8, .bfloat16, .float32, .int64]) func misplacedElementsShow(type: DataType) {
    let table = TestPattern(movingElementsOf: type).input
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: 5000 * type.size, alignment: 8)
    defer { bytes.deallocate() }
    for (key, count) in [(0, 1), (3, 250), (1000, 40), (100_000, 5000), (1 << 40, 5000)] {
      table.write(bytes, from: key, count: count)
      #expect(table.wrongElements(bytes, from: key, count: count) == 0)
      for distance in [1, 2, 5, 256, 1020, 1021, 1024, 4096, 1 << 20] {
        let wrong = table.wrongElements(bytes, from: key + distance, count: count)
        let isSmall = key + distance + count <= 256
        // One tile in about a thousand is turned as far as another.
        #expect(isSmall ? wrong == count : wrong >= count / 2, "\(key) + \(distance), \(count): \(wrong) wrong")
      }
      #expect(table.complement.wrongElements(bytes, from: key, count: count) == count)
      // One bit of one element.
      let place = bytes + (count - 1) * type.size
      place.storeBytes(of: place.load(as: UInt8.self) ^ 0x10, as: UInt8.self)
      #expect(table.wrongElements(bytes, from: key, count: count) == 1)
    }
  }
}
