import TuttiSystem

/// The header that goes ahead of a tagged message: it says what the message is, and holds the message itself where that is
/// small. It is always of the same size, so that it can be received before anything is known of the message.
///
/// The bytes on the wire, in the order of this machine: a mark, the tag, the count, the type, and up to 224 bytes of
/// message.
struct Envelope {
  static let byteCount = 256
  private static let headBytes = 32
  /// "tuttimsg".
  private static let mark: UInt64 = 0x67_736D_6974_7475_74

  let tag: Int
  let count: Int
  let type: DataType

  var messageBytes: Int { count * type.size }
  /// Whether the message itself is inside.
  var isInside: Bool { messageBytes <= Self.byteCount - Self.headBytes }
  /// `float32 x 10 with tag 3`.
  var description: String { "\(type) x \(count) with tag \(tag)" }

  init(tag: Int, count: Int, type: DataType) {
    self.tag = tag
    self.count = count
    self.type = type
  }

  /// Reads what a peer has sent; nil for what no rank sends.
  init?(_ memory: EnvelopeMemory) {
    let words = memory.bytes.assumingMemoryBound(to: UInt64.self)
    guard words[0] == Self.mark, let type = DataType(rawValue: UInt8(truncatingIfNeeded: words[3])),
      words[2] <= UInt64(Communicator.countMax)
    else { return nil }
    self.init(tag: Int(Int64(bitPattern: words[1])), count: Int(words[2]), type: type)
  }

  /// Writes the envelope, and the message where that fits inside.
  func write(to memory: EnvelopeMemory, message: UnsafeRawPointer?) {
    let words = memory.bytes.assumingMemoryBound(to: UInt64.self)
    words[0] = Self.mark
    words[1] = UInt64(bitPattern: Int64(tag))
    words[2] = UInt64(count)
    words[3] = UInt64(type.rawValue)
    if isInside, messageBytes > 0, let message {
      Self.message(of: memory).copyMemory(from: message, byteCount: messageBytes)
    }
  }

  /// Where in an envelope its message lies.
  static func message(of memory: EnvelopeMemory) -> UnsafeMutableRawPointer { memory.bytes + headBytes }
}

/// The memory of an envelope, which lives as long as the transfer that moves it.
final class EnvelopeMemory: @unchecked Sendable {
  // @unchecked: the transfer, and then whoever handles its end, have it to themselves. Owned until deinit.
  let bytes: UnsafeMutableRawPointer

  init() {
    bytes = .allocate(byteCount: Envelope.byteCount, alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: Envelope.byteCount)
  }

  deinit { bytes.deallocate() }
}
