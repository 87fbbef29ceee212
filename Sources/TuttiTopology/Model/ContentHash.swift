// The hash by which ranks agree that they have the same topology. It must be the same on every machine and in every release
// that reads the same format, so it is none of Swift's own.

/// FNV-1a with 128 bits over a description of the content in which nothing can be mistaken for something else: every number
/// has eight bytes, every text its length before it.
///
/// It tells different files apart; it is no protection against somebody who wants two to be taken for one, and needs none:
/// ranks have proven the job's secret.
///
/// - SeeAlso: Fowler, Noll, Vo; RFC 9923.
package struct ContentHash {
  private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
  private static let prime: UInt128 = 1 << 88 | 0x13b

  package init() {}

  private mutating func combine(byte: UInt8) { state = (state ^ UInt128(byte)) &* ContentHash.prime }

  package mutating func combine(_ number: Int) {
    for shift in stride(from: 0, to: 64, by: 8) { combine(byte: UInt8(truncatingIfNeeded: number >> shift)) }
  }

  package mutating func combine(_ text: String) {
    combine(text.utf8.count)
    for byte in text.utf8 { combine(byte: byte) }
  }

  package mutating func combine(_ figures: LinkFigures) {
    combine(figures.bandwidth.bitsPerSecond)
    combine(figures.latency.picoseconds)
  }

  /// 32 hexadecimal digits.
  package var text: String {
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 32 - digits.count) + digits
  }
}
