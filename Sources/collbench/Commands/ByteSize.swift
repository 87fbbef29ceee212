import ArgumentParser

/// Reads and writes byte counts as people do: `8`, `4K`, `2M`, `1G`, in powers of 1024.
enum ByteSize {
  /// - Returns: The bytes; nil when the text is not a count or does not fit 63 bits.
  static func parse(_ text: String) -> Int? {
    var digits = text[...]
    var shift = 0
    if let unit = text.last, let index = ["K", "M", "G"].firstIndex(of: unit.uppercased()) {
      digits = digits.dropLast()
      shift = 10 * (index + 1)
    }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let value = Int(digits) else { return nil }
    let (bytes, overflow) = value.multipliedReportingOverflow(by: 1 << shift)
    return overflow ? nil : bytes
  }

  /// The shortest exact way to write the count: `4096` is `4K`, `1000` stays.
  static func text(_ bytes: Int) -> String {
    for (unit, shift) in [("G", 30), ("M", 20), ("K", 10)] where bytes > 0 && bytes & ((1 << shift) - 1) == 0 {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes)"
  }

  /// A rounded count for messages: `1.5 GiB`.
  static func approximate(_ bytes: Int) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes >= 1 << shift {
      return "\(decimal(Double(bytes) / Double(1 << shift), digits: 1)) \(unit)"
    }
    return "\(bytes) B"
  }
}

/// The byte count of a flag.
///
/// - Throws: `ValidationError`, which names the flag.
func byteCount(_ text: String, of flag: String) throws -> Int {
  guard let bytes = ByteSize.parse(text) else {
    throw ValidationError(
      "\(flag): '\(String(text.prefix(64)))' is not a size below 8 EiB. Write whole bytes, or K, M, G: 8, 4K, 2M, 1G.")
  }
  return bytes
}

/// Writes `value` with exactly `digits` digits after the point, whatever the locale.
func decimal(_ value: Double, digits: Int) -> String {
  guard value.isFinite else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (value.magnitude * scale).rounded()
  guard scaled < 1e18 else { return "\(value)" }
  let whole = UInt64(scaled)
  let sign = value < 0 && whole > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(whole)" }
  let divisor = UInt64(scale)
  let fraction = String(whole % divisor)
  return "\(sign)\(whole / divisor).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}
