import TuttiSchedule

/// What a plan depends on. Equal keys, equal plans.
///
/// Two words, because every call compares them with the last call's.
@frozen @usableFromInline
package struct PlanKey: Hashable, Sendable {
  @usableFromInline package let count: UInt64
  @usableFromInline package let packed: UInt64

  /// - Parameters:
  ///   - algorithm: The algorithm's number in this communicator's catalog, or 0 for the automatic choice.
  ///   - count: Elements of the message, or of each rank's block; for v-forms ``digest(ofBlocks:)``.
  @inlinable
  package init(
    collective: Collective, algorithm: UInt8, dataType: UInt8, inPlace: Bool, root: Int32 = 0, count: UInt64
  ) {
    self.count = count
    packed =
      UInt64(UInt32(bitPattern: root)) << 32 | UInt64(collective.rawValue) << 24 | UInt64(algorithm) << 16
      | UInt64(dataType) << 8 | (inPlace ? 1 : 0)
  }

  /// What stands for a list of block sizes, in a key and on the wire: a hash, the same on every host, with the top bit set, which no count
  /// has. Two lists of a job have the same one with a probability of 2^-63.
  package static func digest(ofBlocks blocks: [UInt64]) -> UInt64 {
    // FNV-1a over words, each mixed first (splitmix64), because sizes differ in few bits.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for block in blocks {
      var mixed = block &+ 0x9E37_79B9_7F4A_7C15
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      hash = (hash ^ (mixed ^ (mixed >> 31))) &* 0x0000_0100_0000_01B3
    }
    return hash | 1 << 63
  }

  /// Whether the count is a digest.
  package static func isDigest(_ count: UInt64) -> Bool { count >> 63 != 0 }

  // The number came from a collective.
  package var collective: Collective { Collective(rawValue: UInt8(packed >> 24 & 0xFF)).unsafelyUnwrapped }
  package var algorithm: UInt8 { UInt8(packed >> 16 & 0xFF) }
  package var dataType: UInt8 { UInt8(packed >> 8 & 0xFF) }
  package var inPlace: Bool { packed & 1 != 0 }
  package var root: Int32 { Int32(truncatingIfNeeded: packed >> 32) }
}

/// The plans of one communicator, most recently used last, at most ``capacity`` of them. Used under the engine's lock.
struct PlanCache {
  static let capacity = 64

  private var plans: [PlanKey: (plan: CompiledPlan, lastUse: UInt64)] = [:]
  private var clock: UInt64 = 0

  mutating func find(_ key: PlanKey) -> CompiledPlan? {
    clock += 1
    guard let index = plans.index(forKey: key) else { return nil }
    plans.values[index].lastUse = clock
    return plans.values[index].plan
  }

  /// Returns whether another plan was dropped to make room.
  mutating func insert(_ plan: CompiledPlan, for key: PlanKey) -> Bool {
    clock += 1
    var hasDropped = false
    if plans.count >= Self.capacity {
      let idle = plans.filter { $0.value.plan.uses == 0 }
      if let oldest = idle.min(by: { $0.value.lastUse < $1.value.lastUse }) {
        plans[oldest.key] = nil
        hasDropped = true
      }
    }
    plans[key] = (plan, clock)
    return hasDropped
  }
}
