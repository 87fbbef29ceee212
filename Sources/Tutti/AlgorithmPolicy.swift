import TuttiAlgorithms
import TuttiSchedule
import TuttiTransport

/// Which algorithm `auto` stands for, and in which segments data travels: pure functions of what all ranks know.
struct AlgorithmPolicy {
  let rankCount: Int
  /// Whether every pair of ranks shares memory.
  let isOneHost: Bool
  /// The largest segment every link of the communicator carries.
  let segmentBytesMax: Int
  let catalog: AlgorithmCatalog

  /// The name of the algorithm for a call of this size.
  func algorithm(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool) -> String {
    switch collective {
    case .barrier: return "dissemination"
    case .allReduce:
      if rankCount <= 2 { return bytes <= (isOneHost ? 64 << 10 : 128 << 10) ? "one-shot" : "two-shot" }
      if isOneHost {
        if bytes <= 2 << 10 { return rankCount <= 8 ? "one-shot" : "recursive-doubling" }
        return rankCount <= 16 ? "two-shot" : "ring"
      }
      if bytes <= 16 << 10 { return "recursive-doubling" }
      return rankCount <= 8 ? "two-shot" : bytes <= 1 << 20 ? "double-binary-tree" : "ring-2"
    case .reduceScatter, .allGather, .broadcast, .reduce, .gather, .scatter, .allToAll: return "direct"
    }
  }

  /// Bytes of a segment: whole messages while they are small, and pieces that stay in cache and keep a pipeline busy when they are not.
  func segmentBytes(bytes: UInt64) -> Int {
    let wanted: Int = bytes <= 1 << 20 ? 64 << 10 : 256 << 10
    return min(wanted, segmentBytesMax)
  }

  /// Results larger than the caches are stored past them.
  func isStreaming(bytes: UInt64) -> Bool { bytes >= 1 << 20 }
}
