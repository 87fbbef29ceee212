import Tutti

/// Gives elements of every type as bits, and the exact bits of the combination of small integers in that type.
package enum ElementBits {
  /// The bits of a small integer in the type. Unsigned types wrap; of a bool, odd numbers are true.
  package static func bits(of value: Int, _ type: DataType) -> UInt64 {
    switch type {
    case .int8, .uint8: UInt64(UInt8(truncatingIfNeeded: value))
    case .int16, .uint16: UInt64(UInt16(truncatingIfNeeded: value))
    case .bool: UInt64(value & 1)
    case .int32, .uint32: UInt64(UInt32(truncatingIfNeeded: value))
    case .int64, .uint64: UInt64(bitPattern: Int64(value))
    case .float16: UInt64(Float16(value).bitPattern)
    case .bfloat16: UInt64(BFloat16(Float(value)).bitPattern)
    case .float32: UInt64(Float(value).bitPattern)
    case .float64: Double(value).bitPattern
    }
  }

  /// The bits of the combination of all ranks' values. Precondition: every partial result is exact in the type, or wraps.
  package static func combined(_ values: [Int], _ operation: ReduceOp, _ type: DataType) -> UInt64 {
    switch type {
    case .int8: UInt64(UInt8(bitPattern: fold(values.map { Int8(truncatingIfNeeded: $0) }, operation)))
    case .uint8: UInt64(fold(values.map { UInt8(truncatingIfNeeded: $0) }, operation))
    case .int16: UInt64(UInt16(bitPattern: fold(values.map { Int16(truncatingIfNeeded: $0) }, operation)))
    case .uint16: UInt64(fold(values.map { UInt16(truncatingIfNeeded: $0) }, operation))
    case .bool: fold(values.map { $0 & 1 == 1 }, operation) ? 1 : 0
    case .int32: UInt64(UInt32(bitPattern: fold(values.map { Int32(truncatingIfNeeded: $0) }, operation)))
    case .uint32: UInt64(fold(values.map { UInt32(truncatingIfNeeded: $0) }, operation))
    case .int64: UInt64(bitPattern: fold(values.map { Int64($0) }, operation))
    case .uint64: fold(values.map { UInt64(truncatingIfNeeded: $0) }, operation)
    case .float16: UInt64(Float16(Float(fold(values, operation))).bitPattern)
    case .bfloat16: UInt64(BFloat16(Float(fold(values, operation))).bitPattern)
    case .float32: UInt64(Float(fold(values, operation)).bitPattern)
    case .float64: fold(values, operation).bitPattern
    }
  }

  private static func fold<Number: FixedWidthInteger>(_ values: [Number], _ operation: ReduceOp) -> Number {
    values.dropFirst().reduce(values[0]) { a, b in
      switch operation {
      case .sum, .average: a &+ b
      case .product: a &* b
      case .min: Swift.min(a, b)
      case .max: Swift.max(a, b)
      case .bitwiseAnd: a & b
      case .bitwiseOr: a | b
      case .bitwiseXor: a ^ b
      }
    }
  }

  private static func fold(_ values: [Bool], _ operation: ReduceOp) -> Bool {
    values.dropFirst().reduce(values[0]) { a, b in
      switch operation {
      case .sum, .max, .bitwiseOr: a || b
      case .product, .min, .bitwiseAnd: a && b
      case .bitwiseXor: a != b
      case .average: preconditionFailure("not defined for bool")
      }
    }
  }

  /// Combines in float64, which is exact except for the one division of an average. That is rounded first to float64 and
  /// then to the type, which for sums this small is the same as rounding once (Figueroa, SIGNUM Newsletter 30(3), 1995).
  private static func fold(_ values: [Int], _ operation: ReduceOp) -> Double {
    let first = Double(values[0])
    let result = values.dropFirst().map(Double.init).reduce(first) { a, b in
      switch operation {
      case .sum, .average: a + b
      case .product: a * b
      case .min: Swift.min(a, b)
      case .max: Swift.max(a, b)
      case .bitwiseAnd, .bitwiseOr, .bitwiseXor: preconditionFailure("not defined for floating-point types")
      }
    }
    return operation == .average && values.count > 1 ? result / Double(values.count) : result
  }

  /// Loads one element; `memory` may be unaligned.
  package static func load(_ index: Int, of memory: UnsafeRawPointer, size: Int) -> UInt64 {
    switch size {
    case 1: UInt64(memory.load(fromByteOffset: index, as: UInt8.self))
    case 2: UInt64(memory.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
    case 4: UInt64(memory.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
    default: memory.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
    }
  }

  package static func store(_ bits: UInt64, at index: Int, of memory: UnsafeMutableRawPointer, size: Int) {
    switch size {
    case 1: memory.storeBytes(of: UInt8(truncatingIfNeeded: bits), toByteOffset: index, as: UInt8.self)
    case 2: memory.storeBytes(of: UInt16(truncatingIfNeeded: bits), toByteOffset: index * 2, as: UInt16.self)
    case 4: memory.storeBytes(of: UInt32(truncatingIfNeeded: bits), toByteOffset: index * 4, as: UInt32.self)
    default: memory.storeBytes(of: bits, toByteOffset: index * 8, as: UInt64.self)
    }
  }
}
