/// A 16-bit floating-point number with the exponent of `Float` and 8 bits of precision: the upper half of a `Float`'s bits.
///
/// For gradients on the wire. Arithmetic is done in `Float`.
@frozen
public struct BFloat16: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible, ExpressibleByFloatLiteral,
  ExpressibleByIntegerLiteral
{
  /// Sign, 8 bits of exponent, 7 bits of fraction.
  public var bitPattern: UInt16

  /// The number with these bits.
  @inlinable public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

  /// The nearest value; of two as near, the one with an even fraction. A NaN stays a NaN of its sign.
  @inlinable
  public init(_ value: Float) {
    let bits = value.bitPattern
    if value.isNaN {
      // Rounding could carry out of the payload, and make the NaN an infinity or change its sign.
      bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x40
    } else {
      bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }
  }

  /// The nearest value, as ``init(_:)``.
  @inlinable public init(floatLiteral value: Float) { self.init(value) }
  /// The nearest value, as ``init(_:)``.
  @inlinable public init(integerLiteral value: Int) { self.init(Float(value)) }

  /// By value: -0 equals 0, and a NaN equals nothing.
  @inlinable
  public static func == (a: BFloat16, b: BFloat16) -> Bool { Float(a) == Float(b) }

  /// Equal values have equal hashes, -0 and 0 too.
  @inlinable
  public func hash(into hasher: inout Hasher) { hasher.combine(Float(self)) }

  /// The description of the same value as a `Float`.
  public var description: String { Float(self).description }
}

extension Float {
  /// The same number, exactly.
  @inlinable public init(_ value: BFloat16) { self.init(bitPattern: UInt32(value.bitPattern) << 16) }
}
