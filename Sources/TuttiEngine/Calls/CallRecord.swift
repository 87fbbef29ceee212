import TuttiSchedule
import TuttiSystem

/// Says what a collective call is, in plain values of this process, from which it is described to people and to ranks that
/// ask.
package struct CallRecord: Equatable, Sendable {
  /// Bits 0-7 operation, 8-15 data type, 16-23 algorithm, 24-31 collective, 32-63 root: as in a ``PlanKey``.
  package let packed: UInt64
  /// Elements, or a digest: ``PlanKey/isDigest(_:)``.
  package let count: UInt64

  package init(packed: UInt64, count: UInt64) {
    self.packed = packed
    self.count = count
  }

  /// - Parameter algorithm: The number of the algorithm that it runs.
  package init(_ key: PlanKey, algorithm: UInt8, operation: UInt8) {
    packed = key.packed & ~0xFF_00FF | UInt64(algorithm) << 16 | UInt64(operation)
    count = key.count
  }

  package var collective: Collective? { Collective(rawValue: UInt8(packed >> 24 & 0xFF)) }
  /// In the catalog; 0 for the automatic choice.
  package var algorithm: UInt8 { UInt8(packed >> 16 & 0xFF) }
  package var dataType: UInt8 { UInt8(packed >> 8 & 0xFF) }
  package var operation: UInt8 { UInt8(packed & 0xFF) }
  package var root: Int { Int(packed >> 32) }
  /// Whether it is an all-to-all in which every rank has counts of its own.
  package var isExchange: Bool { collective == .allToAll && operation == Request.exchangeForm }

  /// What ranks compare to see whether they made the same call.
  ///
  /// - Parameter algorithm: The same on every rank: not its number.
  package func identity(algorithm: UInt64) -> UInt64 {
    // In an exchange, ranks may rightly give different counts.
    CallHash.mixed(CallHash.mixed(packed & ~0xFF_0000) ^ CallHash.mixed(algorithm) ^ (isExchange ? 0 : count))
  }
}

/// Hashes what a call is to the upper half of its signature: all but the operation when the plan is made, and the operation
/// at each call.
package enum CallHash {
  /// - Parameters:
  ///   - algorithm: The same on every rank: not its number.
  ///   - hasBlocks: Whether each rank's block has a count of its own.
  package static func plan(_ key: PlanKey, algorithm: UInt64, hasBlocks: Bool) -> UInt32 {
    // Of the key, what is the same on all ranks: neither the algorithm's number nor whether this rank calls in place.
    let call = key.packed & ~0xFF_00FF | (hasBlocks ? 1 : 0)
    return UInt32(truncatingIfNeeded: mixed(mixed(call) ^ algorithm) >> 32)
  }

  /// The hash of a call that runs a plan. Two operations never have the same one.
  @inline(__always)
  package static func call(_ plan: UInt32, operation: UInt8) -> UInt32 { plan ^ UInt32(operation) &* 0x9E37_79B1 }

  /// What follows `value` in splitmix64, so that 0 is scrambled, too.
  static func mixed(_ value: UInt64) -> UInt64 { SeededGenerator.mixed(value &+ 0x9E37_79B9_7F4A_7C15) }
}
