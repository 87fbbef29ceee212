import TuttiSchedule

/// Where the memory of a call lies, which decides what copies and combines it.
@frozen @usableFromInline
package enum MemoryKind: UInt8, Sendable {
  /// Memory that this process reads and writes itself.
  case host = 0
}

/// The traits of a reduction that a plan depends on.
@frozen @usableFromInline
package struct ReductionTraits: OptionSet, Sendable {
  @usableFromInline package let rawValue: UInt8

  @inlinable
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// See ``Reduction/dividesContributions``.
  package static let dividesContributions = ReductionTraits(rawValue: 4)
  /// The order of combines makes a difference to the bits: sums, products and averages of floating-point numbers.
  package static let dependsOnOrder = ReductionTraits(rawValue: 8)
}

/// What a plan depends on. Equal keys, equal plans.
///
/// Two words, because every call compares them with the last call's.
@frozen @usableFromInline
package struct PlanKey: Hashable, Sendable {
  @usableFromInline package let count: UInt64
  @usableFromInline package let packed: UInt64

  @usableFromInline static let inPlaceBit: UInt64 = 1
  @usableFromInline static let exchangeBit: UInt64 = 2

  /// - Parameters:
  ///   - algorithm: The algorithm's number in this communicator's catalog, or 0 for the automatic choice.
  ///   - isExchange: An all-to-all in which every rank has counts of its own.
  ///   - traits: Those of the reduction.
  ///   - count: Elements of the message, or of each rank's block; for v-forms ``digest(ofBlocks:)``.
  @inlinable
  package init(
    collective: Collective, algorithm: UInt8, dataType: UInt8, inPlace: Bool, isExchange: Bool = false,
    traits: ReductionTraits = [], memory: MemoryKind = .host, root: Int32 = 0, count: UInt64
  ) {
    self.count = count
    let flags =
      (inPlace ? Self.inPlaceBit : 0) | (isExchange ? Self.exchangeBit : 0)
      | UInt64(traits.rawValue) | UInt64(memory.rawValue) << 4
    packed =
      UInt64(UInt32(bitPattern: root)) << 32 | UInt64(collective.rawValue) << 24 | UInt64(algorithm) << 16
      | UInt64(dataType) << 8 | flags
  }

  /// The key of the same call, in place or not.
  init(_ key: PlanKey, inPlace: Bool) {
    count = key.count
    packed = key.packed & ~Self.inPlaceBit | (inPlace ? Self.inPlaceBit : 0)
  }

  /// What stands for a list of block sizes, in a key and on the wire: a hash, the same on every host, with the top
  /// bit set, which no count has. Two lists of a job have the same one with a probability of 2^-63.
  package static func digest(ofBlocks blocks: [UInt64]) -> UInt64 {
    // FNV-1a over words, each mixed first, because sizes differ in few bits.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for block in blocks { hash = (hash ^ CallHash.mixed(block)) &* 0x0000_0100_0000_01B3 }
    return hash | 1 << 63
  }

  /// Whether the count is a digest.
  package static func isDigest(_ count: UInt64) -> Bool { count >> 63 != 0 }

  // The number came from a collective.
  package var collective: Collective { Collective(rawValue: collectiveNumber).unsafelyUnwrapped }
  /// The collective's raw value, for the path on which a conversion would be a call.
  @inlinable package var collectiveNumber: UInt8 { UInt8(truncatingIfNeeded: packed >> 24) }
  @inlinable package var algorithm: UInt8 { UInt8(truncatingIfNeeded: packed >> 16) }
  @inlinable package var dataType: UInt8 { UInt8(truncatingIfNeeded: packed >> 8) }
  @inlinable package var inPlace: Bool { packed & Self.inPlaceBit != 0 }
  @inlinable package var isExchange: Bool { packed & Self.exchangeBit != 0 }
  package var traits: ReductionTraits { ReductionTraits(rawValue: UInt8(truncatingIfNeeded: packed) & 0xC) }
  @inlinable package var root: Int32 { Int32(truncatingIfNeeded: packed >> 32) }
}
