// Owns the byte format of every message of the control plane: little-endian integers, texts with a 16-bit length.
//
// Invariant: a decoder never reads past its bytes, never believes a length before checking it against a bound given by
// the reader, and never traps on any input.

/// Bytes that are not the message they should be.
package struct MalformedMessage: Error, Equatable {
  /// The part of the message that could not be read.
  package let what: String

  package init(_ what: String) { self.what = what }
}

/// Builds a message.
package struct WireEncoder {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func put<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func put(raw: some Sequence<UInt8>) { bytes.append(contentsOf: raw) }

  /// Appends `text`, cut to at most `bytesMax` bytes of UTF-8 at the end of a character.
  package mutating func put(_ text: String, bytesMax: Int) {
    var cut = text
    while cut.utf8.count > bytesMax { cut.removeLast() }
    put(UInt16(cut.utf8.count))
    put(raw: cut.utf8)
  }
}

/// Reads a message, without trusting any of it.
package struct WireDecoder {
  private let bytes: [UInt8]
  private var position = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var remaining: Int { bytes.count - position }

  package mutating func take<Value: FixedWidthInteger>(
    _ type: Value.Type, _ what: String
  ) throws(MalformedMessage) -> Value {
    let size = MemoryLayout<Value>.size
    guard remaining >= size else { throw MalformedMessage(what) }
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[position..<position + size]) }
    position += size
    return Value(littleEndian: value)
  }

  package mutating func take<Value: FixedWidthInteger>(_ what: String) throws(MalformedMessage) -> Value {
    try take(Value.self, what)
  }

  package mutating func take(raw count: Int, _ what: String) throws(MalformedMessage) -> [UInt8] {
    guard count >= 0, remaining >= count else { throw MalformedMessage(what) }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  /// Reads a number of elements that must not exceed `max`.
  package mutating func takeCount(max: Int, _ what: String) throws(MalformedMessage) -> Int {
    let count = try take(UInt32.self, what)
    guard count <= max else { throw MalformedMessage(what) }
    return Int(count)
  }

  /// Reads a text of at most `bytesMax` bytes; invalid UTF-8 is repaired.
  package mutating func takeText(bytesMax: Int, _ what: String) throws(MalformedMessage) -> String {
    let count = Int(try take(UInt16.self, what))
    guard count <= bytesMax else { throw MalformedMessage(what) }
    return String(decoding: try take(raw: count, what), as: UTF8.self)
  }

  /// Checks that nothing follows.
  package func finish(_ what: String) throws(MalformedMessage) {
    guard remaining == 0 else { throw MalformedMessage("the end of \(what)") }
  }
}
