import TuttiSystem
import TuttiTopology

// An allowance as it travels.

extension ProcessorAllowance {
  /// 8 bytes for 64 processors, and 24 for the quota.
  func encode(into encoder: inout WireEncoder) {
    encoder.put(UInt32(inherited.words.count))
    for word in inherited.words { encoder.put(word) }
    encoder.put(quota?.quotaMicroseconds ?? 0)
    encoder.put(quota?.periodMicroseconds ?? 0)
    encoder.put(quota?.group ?? 0)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    var words: [UInt64] = []
    for _ in 0..<(try decoder.takeCount(max: ProcessorSet.wordsMax, "processors")) {
      words.append(try decoder.take("processors"))
    }
    let inherited = ProcessorSet(words: words)
    guard !inherited.isEmpty else { throw MalformedMessage("processors") }
    let numbers: (UInt64, UInt64, UInt64) = (
      try decoder.take("quota"), try decoder.take("period"), try decoder.take("group")
    )
    // A group may use no time at all only when there is no group.
    let quota =
      numbers.0 == 0 || numbers.1 == 0
      ? nil : ProcessorQuota(quotaMicroseconds: numbers.0, periodMicroseconds: numbers.1, group: numbers.2)
    self.init(inherited: inherited, quota: quota)
  }
}
