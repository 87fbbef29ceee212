import TuttiSystem
import TuttiTopology
import TuttiTransport

/// What a rank tells the others about sharing memory. Whom it can share with follows from its host, its user, and a trial
/// (`HostAbilities`), which its record has anyway.
struct SharedMemoryOffer {
  /// Identifies the control group whose memory limit is the first to be reached; 0 without a limit. Ranks with the same one
  /// share what it leaves.
  var memoryGroup: UInt64

  /// Makes the offer of this process.
  static func current() -> SharedMemoryOffer {
    SharedMemoryOffer(memoryGroup: ResourceLimits.current().tightestMemoryGroup?.identity ?? 0)
  }

  init(memoryGroup: UInt64) { self.memoryGroup = memoryGroup }

  /// Reads a rank's offer; nil where there is none or it cannot be read.
  init?(of rank: RankFacts) {
    guard let bytes = rank.offer(of: SharedMemoryTransport.kind) else { return nil }
    var decoder = WireDecoder(bytes)
    guard let group: UInt64 = try? decoder.take("memory group") else { return nil }
    memoryGroup = group
  }

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    encoder.put(memoryGroup)
    return encoder.bytes
  }
}
