// The reference for floating point: float32 and float64 in themselves, float16 and bfloat16 in float32.

import CTuttiKernels

protocol FloatingKernelElement: KernelElement where Value: BinaryFloatingPoint {
  static var exponentBits: Int { get }
  static var canonicalNaN: Bits { get }
}

extension FloatingKernelElement {
  static var operations: [KernelOperation] { KernelOperation.ofFloats }
  static var significandBits: Int { Bits.bitWidth - 1 - exponentBits }
  static var one: Bits { (Bits(1) << Bits(exponentBits - 1) - 1) << Bits(significandBits) }
  static var infinity: Bits { (Bits(1) << Bits(exponentBits) - 1) << Bits(significandBits) }

  static var edges: [Bits] {
    let leastNormal = Bits(1) << Bits(significandBits)
    // One unit of `one`'s last place, and half of it, which added to `one` is half-way between two numbers.
    let unit = one - Bits(significandBits) << Bits(significandBits)
    let quietBit = leastNormal >> 1
    let positive: [Bits] = [
      0, 1, 2, leastNormal / 2, leastNormal - 1, leastNormal, leastNormal + 1, unit - leastNormal, unit, unit + 1,
      one - leastNormal, one - 1, one, one + 1, one + 2, one + leastNormal, infinity - leastNormal, infinity - 1, infinity,
      infinity + 1, infinity + quietBit - 1, infinity + quietBit, infinity + quietBit + 1,
      infinity + quietBit + quietBit / 2, infinity + leastNormal - 1,
    ]
    let sign = Bits(1) << Bits(Bits.bitWidth - 1)
    return positive + positive.map { $0 | sign }
  }

  static func combined(_ operation: KernelOperation, _ a: Value, _ b: Value) -> Value {
    if operation == .sum || operation == .average { return a + b }
    if operation == .product { return a * b }
    if a.isNaN || b.isNaN { return .nan }
    if a == b { return (a.sign == .minus) == (operation == .min) ? a : b }  // zeros of two signs
    return (a < b) == (operation == .min) ? a : b
  }

  static func divided(_ value: Value, by divisor: Double) -> Value { value / Value(divisor) }

  static func isNaN(_ bits: Bits) -> Bool { bits & (infinity | (infinity - 1)) > infinity }

  static func matches(_ operation: KernelOperation, found: Bits, expected: Bits) -> Bool {
    guard isNaN(expected) else { return found == expected }
    return operation == .min || operation == .max ? found == canonicalNaN : isNaN(found)
  }
}

extension Float: FloatingKernelElement {
  typealias Bits = UInt32
  static var dataType: Int32 { Int32(TUTTI_FLOAT32) }
  static var exponentBits: Int { 8 }
  static var canonicalNaN: UInt32 { 0x7fc0_0000 }
  static func widened(_ bits: UInt32) -> Float { Float(bitPattern: bits) }
  static func rounded(_ value: Float) -> UInt32 { value.bitPattern }
}

extension Double: FloatingKernelElement {
  typealias Bits = UInt64
  static var dataType: Int32 { Int32(TUTTI_FLOAT64) }
  static var exponentBits: Int { 11 }
  static var canonicalNaN: UInt64 { 0x7ff8_0000_0000_0000 }
  static func widened(_ bits: UInt64) -> Double { Double(bitPattern: bits) }
  static func rounded(_ value: Double) -> UInt64 { value.bitPattern }
}

extension Float16: FloatingKernelElement {
  typealias Bits = UInt16
  static var dataType: Int32 { Int32(TUTTI_FLOAT16) }
  static var exponentBits: Int { 5 }
  static var canonicalNaN: UInt16 { 0x7e00 }
  static func widened(_ bits: UInt16) -> Float { Float(Float16(bitPattern: bits)) }
  static func rounded(_ value: Float) -> UInt16 { Float16(value).bitPattern }
}

/// bfloat16. Rounds by comparing distances, which is slow and has nothing in common with how a kernel does it.
enum BrainFloat: FloatingKernelElement {
  typealias Bits = UInt16
  static var dataType: Int32 { Int32(TUTTI_BFLOAT16) }
  static var exponentBits: Int { 8 }
  static var canonicalNaN: UInt16 { 0x7fc0 }
  static func widened(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  static func rounded(_ value: Float) -> UInt16 {
    if value.isNaN { return canonicalNaN }
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    if value.isInfinite { return sign | 0x7f80 }
    let below = UInt16(value.magnitude.bitPattern >> 16)
    let above = below + 1
    // What follows the largest number is 0x1p128, were the exponent not bounded.
    let aboveValue = above == 0x7f80 ? 0x1p128 : Double(widened(above))
    let toBelow = Double(value.magnitude) - Double(widened(below))
    let toAbove = aboveValue - Double(value.magnitude)
    let belowIsNearest = toBelow < toAbove || (toBelow == toAbove && below % 2 == 0)
    return sign | (belowIsNearest ? below : above)
  }
}
