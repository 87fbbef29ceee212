/// What a rank says about its call in every segment it sends, so that ranks which call different things find out.
///
/// Two ranks are in the same call when their signatures and element counts are equal. It is packed into 64 bits because the
/// comparison happens once per segment. The lower half holds the low 32 bits of the operation's number. The upper half says
/// what the call is: it is a hash of the call, or a word that says everything about it.
@frozen
public struct CallSignature: Equatable, Sendable {
  @usableFromInline package var rawValue: UInt64

  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  package init(call: UInt32, operationNumber: UInt64) {
    rawValue = UInt64(call) << 32 | (operationNumber & 0xFFFF_FFFF)
  }

  /// The word that says what the call is.
  @inlinable package var call: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
  @inlinable package var operationNumber: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
