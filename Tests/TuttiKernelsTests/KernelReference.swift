// The plain Swift definition of every combine, one element at a time, and the values worth trying. Kernels must agree
// with it bit for bit, except for the payload of a NaN that arithmetic gives. Floating-point types: FloatReference.swift.

import CTuttiKernels

enum KernelOperation: Equatable {
  case sum, product, min, max, bitwiseAnd, bitwiseOr, bitwiseXor
  /// A kernel of its own, `tutti_average`.
  case average

  static let ofIntegers: [KernelOperation] = [.sum, .product, .min, .max, .bitwiseAnd, .bitwiseOr, .bitwiseXor]
  static let ofFloats: [KernelOperation] = [.sum, .product, .min, .max, .average]

  /// The number `tutti_combine` knows it by.
  var number: Int32? {
    switch self {
    case .sum: Int32(TUTTI_SUM)
    case .product: Int32(TUTTI_PRODUCT)
    case .min: Int32(TUTTI_MIN)
    case .max: Int32(TUTTI_MAX)
    case .bitwiseAnd: Int32(TUTTI_BITWISE_AND)
    case .bitwiseOr: Int32(TUTTI_BITWISE_OR)
    case .bitwiseXor: Int32(TUTTI_BITWISE_XOR)
    case .average: nil
    }
  }
}

/// An element type, as bit patterns in memory (`Bits`) and as the values it is computed in (`Value`).
protocol KernelElement: Sendable {
  associatedtype Bits: FixedWidthInteger & UnsignedInteger & Sendable
  associatedtype Value: Sendable
  static var dataType: Int32 { get }
  static var operations: [KernelOperation] { get }
  /// Values at the edges of the type.
  static var edges: [Bits] { get }
  static func widened(_ bits: Bits) -> Value
  static func rounded(_ value: Value) -> Bits
  static func combined(_ operation: KernelOperation, _ a: Value, _ b: Value) -> Value
  static func divided(_ value: Value, by divisor: Double) -> Value
  /// Whether a kernel that gave `found` where the reference gave `expected` is right.
  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool
}

let allElements: [any KernelElement.Type] = [
  Int8.self, UInt8.self, Int16.self, UInt16.self, Truth.self, Int32.self, UInt32.self, Int64.self, UInt64.self, Float16.self,
  BrainFloat.self, Float.self,
  Double.self,
]

let floatingElements: [any FloatingKernelElement.Type] = [Float16.self, BrainFloat.self, Float.self, Double.self]

protocol IntegerKernelElement: KernelElement, FixedWidthInteger where Magnitude == Bits, Value == Self {}

extension IntegerKernelElement {
  static var operations: [KernelOperation] { KernelOperation.ofIntegers }

  static var edges: [Bits] {
    let top = Bits(1) << Bits(Bits.bitWidth - 1)
    return [0, 1, 2, 3, 1 << Bits(Bits.bitWidth / 2), top - 1, top, top + 1, .max - 1, .max]
  }

  static func widened(_ bits: Bits) -> Self { Self(truncatingIfNeeded: bits) }
  static func rounded(_ value: Self) -> Bits { Bits(truncatingIfNeeded: value) }

  static func combined(_ operation: KernelOperation, _ a: Self, _ b: Self) -> Self {
    switch operation {
    case .sum: a &+ b
    case .product: a &* b
    case .min: a < b ? a : b
    case .max: a > b ? a : b
    case .bitwiseAnd: a & b
    case .bitwiseOr: a | b
    case .bitwiseXor: a ^ b
    case .average: preconditionFailure("integers have no average")
    }
  }

  static func divided(_ value: Self, by divisor: Double) -> Self {
    preconditionFailure("integers have no average")
  }

  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool { found == expected }
}

extension Int8: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT8) }
}

extension UInt8: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_UINT8) }
}

extension Int16: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT16) }
}

extension UInt16: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_UINT16) }
}

/// A bool: any byte but 0 is true.
enum Truth: KernelElement {
  static var dataType: Int32 { Int32(TUTTI_BOOL) }
  static var operations: [KernelOperation] { KernelOperation.ofIntegers }
  static var edges: [UInt8] { [0, 0, 1, 2, 255] }
  static func widened(_ bits: UInt8) -> Bool { bits != 0 }
  static func rounded(_ value: Bool) -> UInt8 { value ? 1 : 0 }

  static func combined(_ operation: KernelOperation, _ a: Bool, _ b: Bool) -> Bool {
    switch operation {
    case .sum, .max, .bitwiseOr: a || b
    case .product, .min, .bitwiseAnd: a && b
    case .bitwiseXor: a != b
    case .average: preconditionFailure("bools have no average")
    }
  }

  static func divided(_ value: Bool, by divisor: Double) -> Bool { preconditionFailure("bools have no average") }
  /// One source is copied as it is; `CombineTests.boolsAreZeroOrOne` sees what is combined.
  static func matches(_ operation: KernelOperation, found: UInt8, expected: UInt8) -> Bool {
    (found != 0) == (expected != 0)
  }
}

extension Int32: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT32) }
}

extension UInt32: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_UINT32) }
}

extension Int64: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT64) }
}

extension UInt64: IntegerKernelElement {
  static var dataType: Int32 { Int32(TUTTI_UINT64) }
}
