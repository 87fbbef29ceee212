// The plain Swift definition of every combine, one element at a time, and the values worth trying. Kernels must agree
// with it bit for bit, except for the payload of a NaN that a sum gives.

import CTuttiKernels

enum KernelOperation: CaseIterable {
  case sum, min, max

  var number: Int32 {
    switch self {
    case .sum: Int32(TUTTI_SUM)
    case .min: Int32(TUTTI_MIN)
    case .max: Int32(TUTTI_MAX)
    }
  }
}

protocol KernelElement: Sendable {
  associatedtype Bits: FixedWidthInteger & UnsignedInteger & Sendable
  static var dataType: Int32 { get }
  /// Values at the edges of the type, as bit patterns.
  static var edges: [Bits] { get }
  static func combine(_ operation: KernelOperation, _ a: Bits, _ b: Bits) -> Bits
  /// Whether a kernel that gave `found` where the reference gave `expected` is right.
  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool
}

extension KernelElement where Self: FixedWidthInteger & SignedInteger, Magnitude == Bits {
  static var edges: [Bits] { [0, 1, .max, Bits(Self.max), Bits(Self.max) + 1, Bits(Self.max) + 2, .max - 1, 2] }

  static func combine(_ operation: KernelOperation, _ a: Bits, _ b: Bits) -> Bits {
    let x = Self(truncatingIfNeeded: a)
    let y = Self(truncatingIfNeeded: b)
    switch operation {
    case .sum: return a &+ b
    case .min: return x < y ? a : b
    case .max: return x > y ? a : b
    }
  }

  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool { found == expected }
}

extension Int32: KernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT32) }
}

extension Int64: KernelElement {
  static var dataType: Int32 { Int32(TUTTI_INT64) }
}

protocol FloatingKernelElement: KernelElement, BinaryFloatingPoint {
  init(bitPattern: Bits)
  var bitPattern: Bits { get }
  static var canonicalNaN: Bits { get }
}

extension FloatingKernelElement {
  static var edges: [Bits] {
    let quiet = Bits(canonicalNaN)
    let quietBit = Bits(1) << Bits(Self.significandBitCount - 1)
    let positive: [Bits] = [
      0, Self.leastNonzeroMagnitude.bitPattern, (Self.leastNormalMagnitude / 2).bitPattern,
      Self.leastNormalMagnitude.bitPattern - 1, Self.leastNormalMagnitude.bitPattern, Self(0.5).bitPattern,
      Self(1).bitPattern, Self(1).nextUp.bitPattern, Self.ulpOfOne.bitPattern, (Self.ulpOfOne / 2).bitPattern,
      Self.greatestFiniteMagnitude.bitPattern, Self.infinity.bitPattern,
      quiet, quiet | 1, quiet | (quietBit >> 1), (quiet ^ quietBit) | 1, (quiet ^ quietBit) | (quietBit - 1),
    ]
    let sign = Bits(1) << Bits(Bits.bitWidth - 1)
    return positive + positive.map { $0 | sign }
  }

  static func combine(_ operation: KernelOperation, _ a: Bits, _ b: Bits) -> Bits {
    let x = Self(bitPattern: a)
    let y = Self(bitPattern: b)
    if operation == .sum { return (x + y).bitPattern }
    if x.isNaN || y.isNaN { return canonicalNaN }
    if x == y { return (x.sign == .minus) == (operation == .min) ? a : b }  // zeros of two signs
    return (x < y) == (operation == .min) ? a : b
  }

  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool {
    if operation == .sum, Self(bitPattern: expected).isNaN { return Self(bitPattern: found).isNaN }
    return found == expected
  }
}

extension Float: FloatingKernelElement {
  typealias Bits = UInt32
  static var dataType: Int32 { Int32(TUTTI_FLOAT32) }
  static var canonicalNaN: UInt32 { 0x7fc0_0000 }
}

extension Double: FloatingKernelElement {
  typealias Bits = UInt64
  static var dataType: Int32 { Int32(TUTTI_FLOAT64) }
  static var canonicalNaN: UInt64 { 0x7ff8_0000_0000_0000 }
}
