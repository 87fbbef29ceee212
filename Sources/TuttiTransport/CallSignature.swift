/// What a rank says about its call in every segment it sends, so that ranks which call different things find out.
///
/// Two ranks are in the same call exactly when their signatures and element counts are equal. Packed into 64 bits
/// because the comparison happens once per segment:
/// bits 0-31 operation number, 32-43 root, 44-51 algorithm, 52-55 operation, 56-59 data type, 60-63 collective.
@frozen
public struct CallSignature: Equatable, Sendable {
  @usableFromInline package var rawValue: UInt64

  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  package init(
    collective: UInt8, dataType: UInt8, operation: UInt8, algorithm: UInt8, root: Int, operationNumber: UInt64
  ) {
    rawValue =
      UInt64(collective & 15) << 60 | UInt64(dataType & 15) << 56 | UInt64(operation & 15) << 52
      | UInt64(algorithm) << 44 | UInt64(UInt32(truncatingIfNeeded: root) & 0xFFF) << 32
      | (operationNumber & 0xFFFF_FFFF)
  }

  @inlinable package var collective: UInt8 { UInt8(rawValue >> 60) }
  @inlinable package var dataType: UInt8 { UInt8(rawValue >> 56 & 15) }
  @inlinable package var operation: UInt8 { UInt8(rawValue >> 52 & 15) }
  @inlinable package var algorithm: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 44) }
  @inlinable package var root: Int { Int(rawValue >> 32 & 0xFFF) }
  @inlinable package var operationNumber: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
