// What scalars can mean: names, numbers, rates and times.

extension DescriptionNode {
  /// The most bytes of a name, as of a host in the DNS.
  static let nameBytesMax = 255

  package func text(_ field: String) throws(DescriptionError) -> String {
    guard case .scalar(let text, let isQuoted) = content, isQuoted || !text.isEmpty, isQuoted || text != "~" else {
      throw error(field, "must be text, not \(kind)")
    }
    return text
  }

  func name(_ field: String) throws(DescriptionError) -> String {
    let name = try text(field)
    guard !name.isEmpty, name.utf8.count <= DescriptionNode.nameBytesMax, name.utf8.allSatisfy(isNameByte) else {
      throw error(
        field, "'\(name.shortened)' is not a name: 1 to \(DescriptionNode.nameBytesMax) letters, digits, '.', '_' and '-'")
    }
    return name
  }

  package func list(_ field: String, _ range: ClosedRange<Int>) throws(DescriptionError) -> [DescriptionNode] {
    guard case .sequence(let elements) = content else { throw error(field, "must be a list, not \(kind)") }
    guard range.contains(elements.count) else {
      throw error(field, "has \(elements.count) elements: \(range.lowerBound) to \(range.upperBound) are possible")
    }
    return elements
  }

  package func number(_ field: String, _ range: ClosedRange<Int>) throws(DescriptionError) -> Int {
    guard case .scalar(let text, isQuoted: false) = content, let value = wholeNumber(text) else {
      throw error(field, "must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(kind)")
    }
    guard range.contains(value) else {
      throw error(
        field, "\(value) is too \(value < range.lowerBound ? "small" : "large"): \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A number with or without a point and an exponent: `12.5`, `6.6e-05`.
  package func decimal(_ field: String, _ range: ClosedRange<Double>) throws(DescriptionError) -> Double {
    guard case .scalar(let text, isQuoted: false) = content, isDecimal(text), let value = Double(text) else {
      throw error(field, "must be a number from \(range.lowerBound) to \(range.upperBound), not \(kind)")
    }
    guard range.contains(value) else {
      let direction = value < range.lowerBound ? "small" : "large"
      throw error(field, "\(text.shortened) is too \(direction): \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func bandwidth(_ field: String) throws(DescriptionError) -> Bandwidth {
    let value = try quantity(
      field, units: bandwidthUnits, known: ["Gb/s", "GB/s", "Mb/s", "MB/s", "Tb/s", "TB/s", "kb/s", "kB/s"],
      example: "25 Gb/s")
    let range = Bandwidth.range
    guard value >= range.lowerBound.bitsPerSecond, value <= range.upperBound.bitsPerSecond else {
      throw error(field, "\(kind) is out of range for a link's rate: \(range.lowerBound) to \(range.upperBound)")
    }
    return Bandwidth(bitsPerSecond: value)
  }

  func latency(_ field: String) throws(DescriptionError) -> Latency {
    let value = try quantity(field, units: latencyUnits, known: ["ns", "us", "ms", "s", "ps"], example: "1.5 us")
    let range = Latency.range
    guard value >= range.lowerBound.picoseconds, value <= range.upperBound.picoseconds else {
      throw error(field, "\(kind) is out of range for a link's latency: \(range.lowerBound) to \(range.upperBound)")
    }
    return Latency(picoseconds: value)
  }

  /// `2:1`, or `2` for the same: as a fraction.
  func ratio(_ field: String) throws(DescriptionError) -> (over: Int, under: Int) {
    let text = try text(field)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { wholeNumber(String($0)) }
    guard (1...2).contains(parts.count), let over = parts[0], let under = parts.count == 1 ? 1 : parts[1],
      (1...1024).contains(over), (1...1024).contains(under), over >= under
    else { throw error(field, "\(kind) must be how much more goes in than out, such as 2:1, from 1:1 to 1024:1") }
    return (over, under)
  }

  /// A positive number and a unit, in units of the smallest one; what is smaller than that is cut off.
  private func quantity(_ field: String, units: [String: Int], known: [String], example: String) throws(DescriptionError)
    -> Int
  {
    let text = try text(field)
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(number.count).drop { $0 == " " }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard !text.hasPrefix("-") else { throw error(field, "\(kind) is negative") }
    guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), number.count <= 18,
      let mantissa = wholeNumber(parts.joined())
    else { throw error(field, "\(kind) must be a number and a unit, such as \(example)") }
    guard !unit.isEmpty else {
      throw error(field, "\(kind) has no unit: write \(example), with one of \(known.joined(separator: ", "))")
    }
    guard let size = units[String(unit)] else {
      // Case is what tells bits from bytes, and little else is worth a guess.
      let near = known.first { $0.lowercased() == unit.lowercased() } ?? nearestName(to: String(unit), in: known)
      let hint = near.map { "did you mean '\($0)'?" } ?? "there are \(known.joined(separator: ", "))"
      throw error(field, "unknown unit '\(String(unit).shortened)'; \(hint)")
    }
    guard mantissa > 0 else { throw error(field, "\(kind) is 0: give what the link has, such as \(example)") }
    var scale = 1
    for _ in 0..<(parts.count == 2 ? parts[1].count : 0) { scale *= 10 }
    let value = UInt128(mantissa) * UInt128(size) / UInt128(scale)
    return value > UInt128(Int.max) ? .max : Int(value)
  }
}

private func isNameByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
    true
  default: false
  }
}

/// Digits, with a sign where it is negative, and nothing else: no `+1`, `0x10`, `1_000` or `1e3`.
func wholeNumber(_ text: String) -> Int? {
  let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
  guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
  return Int(text)
}

/// Whether it is digits, perhaps with a sign, a fraction and an exponent: no `inf`, `.5` or `0x1p3`.
private func isDecimal(_ text: String) -> Bool {
  var rest = text.utf8.first == UInt8(ascii: "-") ? text.dropFirst() : text[...]
  func dropDigits() -> Bool {
    let digits = rest.utf8.prefix { (48...57).contains($0) }.count
    rest = rest.dropFirst(digits)
    return digits > 0
  }
  guard dropDigits() else { return false }
  if rest.first == "." {
    rest = rest.dropFirst()
    guard dropDigits() else { return false }
  }
  if rest.first == "e" || rest.first == "E" {
    rest = rest.dropFirst()
    if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }
    guard dropDigits() else { return false }
  }
  return rest.isEmpty
}

/// In bits a second; b are bits, B are bytes, and prefixes are powers of 1000.
private let bandwidthUnits: [String: Int] = {
  var units: [String: Int] = [:]
  for (prefix, size) in [("", 1), ("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)] {
    for bits in ["b/s", "bit/s", "bps"] { units[prefix + bits] = size }
    units[prefix + "B/s"] = 8 * size
  }
  return units
}()

/// In picoseconds.
private let latencyUnits = [
  "ps": 1, "ns": 1000, "us": 1_000_000, "µs": 1_000_000, "μs": 1_000_000, "ms": 1_000_000_000, "s": 1_000_000_000_000,
]
