// Bandwidth and latency as whole numbers of the smallest unit a file can say, so that equal files give equal hashes on
// every machine.

/// What a link carries in one direction, in bits a second.
package struct Bandwidth: Hashable, Comparable, Sendable {
  package let bitsPerSecond: Int

  /// The smallest and the largest that a file may give a link: 1 kb/s and 100 Tb/s.
  package static let range = Bandwidth(bitsPerSecond: 1000)...Bandwidth(bitsPerSecond: 100_000_000_000_000)

  package init(bitsPerSecond: Int) { self.bitsPerSecond = bitsPerSecond }

  /// For cost models; GB are 10^9 bytes.
  package var bytesPerSecond: Double { Double(bitsPerSecond) / 8 }

  package static func < (left: Bandwidth, right: Bandwidth) -> Bool { left.bitsPerSecond < right.bitsPerSecond }

  /// Several links side by side. Sums of absurd figures stop at the largest number there is.
  package static func * (count: Int, one: Bandwidth) -> Bandwidth {
    let (product, overflows) = count.multipliedReportingOverflow(by: one.bitsPerSecond)
    return Bandwidth(bitsPerSecond: overflows ? .max : product)
  }

  package static func + (left: Bandwidth, right: Bandwidth) -> Bandwidth {
    let (sum, overflows) = left.bitsPerSecond.addingReportingOverflow(right.bitsPerSecond)
    return Bandwidth(bitsPerSecond: overflows ? .max : sum)
  }
}

/// How long the first bit takes, in one direction, in picoseconds.
package struct Latency: Hashable, Comparable, Sendable {
  package let picoseconds: Int

  package static let zero = Latency(picoseconds: 0)
  /// The smallest and the largest that a file may say: 1 ps and 10 s.
  package static let range = Latency(picoseconds: 1)...Latency(picoseconds: 10_000_000_000_000)

  package init(picoseconds: Int) { self.picoseconds = picoseconds }

  package var seconds: Double { Double(picoseconds) * 1e-12 }

  package static func < (left: Latency, right: Latency) -> Bool { left.picoseconds < right.picoseconds }

  package static func + (left: Latency, right: Latency) -> Latency {
    let (sum, overflows) = left.picoseconds.addingReportingOverflow(right.picoseconds)
    return Latency(picoseconds: overflows ? .max : sum)
  }
}

/// What a directed link is to a cost model: how much it carries, and after which time.
package struct LinkFigures: Hashable, Sendable {
  package var bandwidth: Bandwidth
  package var latency: Latency

  package init(bandwidth: Bandwidth, latency: Latency) {
    self.bandwidth = bandwidth
    self.latency = latency
  }
}

extension Bandwidth: CustomStringConvertible {
  /// In the largest unit that leaves a whole part: `400 Gb/s`, `62.4 Gb/s`.
  package var description: String {
    scaled(
      bitsPerSecond, units: [("Tb/s", 1_000_000_000_000), ("Gb/s", 1_000_000_000), ("Mb/s", 1_000_000), ("kb/s", 1000)])
      ?? "\(bitsPerSecond) b/s"
  }
}

extension Bandwidth {
  /// The rate in bytes, as memory is measured: `307.2 GB/s`.
  package var inBytes: String {
    scaled(
      bitsPerSecond / 8, units: [("TB/s", 1_000_000_000_000), ("GB/s", 1_000_000_000), ("MB/s", 1_000_000), ("kB/s", 1000)])
      ?? "\(bitsPerSecond / 8) B/s"
  }
}

extension Latency: CustomStringConvertible {
  /// `31 ms`, `1.6 us`, `100 ns`.
  package var description: String {
    scaled(picoseconds, units: [("s", 1_000_000_000_000), ("ms", 1_000_000_000), ("us", 1_000_000), ("ns", 1000)])
      ?? "\(picoseconds) ps"
  }
}

/// A number with at most three digits after the point, cut off, in the first unit that is not larger than it.
private func scaled(_ value: Int, units: [(name: String, size: Int)]) -> String? {
  guard let unit = units.first(where: { $0.size <= value }) else { return nil }
  var digits = String(value % unit.size / (unit.size / 1000))
  digits = String(repeating: "0", count: 3 - digits.count) + digits
  while digits.hasSuffix("0") { digits.removeLast() }
  return "\(value / unit.size)\(digits.isEmpty ? "" : ".")\(digits) \(unit.name)"
}
