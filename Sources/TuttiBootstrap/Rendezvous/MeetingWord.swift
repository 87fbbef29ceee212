import TuttiSystem

// What rank 0 leaves in a store, as one word of ASCII: "tutti1:", then in hexadecimal eight bytes of the SHA-256 of what
// follows, and the message. The digest tells a value that was torn, cut or mixed up from one that rank 0 put; it proves
// nothing, connections do.

/// Where rank 0 can be reached, and what connections to it are proven with.
struct MeetingPoint: Hashable, Sendable {
  /// Drawn by rank 0 for this meeting. It is part of the key of every handshake: whoever listens at an address of an earlier
  /// meeting, or of another job's with the same secret, is known not to be rank 0.
  var number: CommunicatorID
  /// Best first; as many as there is room for.
  var addresses: [SocketAddress]
  /// Rank 0's abstract Unix listener, for ranks of its host when no address leads there.
  var unixName: String
  /// The job's secret, where the store tells it to whoever can read it; empty otherwise.
  var secret: [UInt8]
}

/// The value that rank 0 leaves in a store.
enum MeetingWord {
  case point(MeetingPoint)
  /// Why there will be no communicator.
  case refusal(FailureReport)

  static let prefix = "tutti1:"
  private static let digestByteCount = 8
  /// Bytes of the message that its hexadecimal form has room for.
  private static let messageBytesMax = (RendezvousLimits.valueBytesMax - prefix.utf8.count) / 2 - digestByteCount
  private static let refusalTextBytesMax = 200

  /// Why a value is not such a word.
  enum Flaw: Error, Equatable {
    case unreadable
    case version(UInt16)
  }

  func bytes(version: UInt16 = protocolVersion) -> [UInt8] {
    var encoder = WireEncoder()
    encoder.put(version)
    switch self {
    case .point(let point):
      encoder.put(UInt8(1))
      point.number.encode(into: &encoder)
      encoder.put(point.unixName, bytesMax: SocketAddress.abstractNameBytesMax)
      encoder.put(UInt8(point.secret.count))
      encoder.put(raw: point.secret)
      for address in point.addresses {
        var word = WireEncoder()
        address.encode(into: &word)
        if encoder.bytes.count + word.bytes.count <= Self.messageBytesMax { encoder.put(raw: word.bytes) }
      }
    case .refusal(let report):
      encoder.put(UInt8(2))
      encoder.put(report.code.rawValue)
      encoder.put(report.systemError)
      encoder.put(report.message, bytesMax: Self.refusalTextBytesMax)
      encoder.put(report.advice, bytesMax: Self.refusalTextBytesMax)
    }
    let message = encoder.bytes
    precondition(message.count <= Self.messageBytesMax)
    return Array(Self.prefix.utf8) + Hexadecimal.encode(SHA256.digest(message).prefix(Self.digestByteCount) + message)
  }

  init(_ value: [UInt8], version: UInt16 = protocolVersion) throws(Flaw) {
    let prefix = Array(Self.prefix.utf8)
    guard value.count <= RendezvousLimits.valueBytesMax, value.starts(with: prefix),
      let decoded = Hexadecimal.decode(value.dropFirst(prefix.count)), decoded.count > Self.digestByteCount
    else { throw .unreadable }
    let message = Array(decoded.dropFirst(Self.digestByteCount))
    guard SHA256.digest(message).starts(with: decoded.prefix(Self.digestByteCount)) else { throw .unreadable }
    var found: UInt16?
    do {
      var decoder = WireDecoder(message)
      found = try decoder.take(UInt16.self, "version")
      guard found == version else { throw MalformedMessage("version") }
      self = try Self.read(&decoder)
    } catch {
      if let found, found != version { throw .version(found) }
      throw .unreadable
    }
  }

  private static func read(_ decoder: inout WireDecoder) throws(MalformedMessage) -> MeetingWord {
    switch try decoder.take(UInt8.self, "kind") {
    case 1:
      let number = try CommunicatorID(from: &decoder)
      let unixName = try decoder.takeText(bytesMax: SocketAddress.abstractNameBytesMax, "socket name")
      let secret = try decoder.take(raw: Int(try decoder.take(UInt8.self, "secret")), "secret")
      var addresses: [SocketAddress] = []
      while decoder.remaining > 0 { addresses.append(try SocketAddress(from: &decoder)) }
      return .point(MeetingPoint(number: number, addresses: addresses, unixName: unixName, secret: secret))
    case 2:
      let code = FailureCode(rawValue: try decoder.take("code")) ?? .rendezvous
      let systemError = try decoder.take(Int32.self, "system error")
      let message = try decoder.takeText(bytesMax: refusalTextBytesMax, "message")
      let advice = try decoder.takeText(bytesMax: refusalTextBytesMax, "advice")
      try decoder.finish("a refusal")
      return .refusal(FailureReport(code, rank: 0, message, advice: advice, systemError: systemError))
    default:
      throw MalformedMessage("kind")
    }
  }
}

/// Bytes as lower-case hexadecimal digits.
enum Hexadecimal {
  private static let digits = Array("0123456789abcdef".utf8)

  static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
    bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }

  /// nil for an odd number of digits, or anything that is none.
  static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text {
      guard let value = digits.firstIndex(of: character).map(UInt8.init) else { return nil }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return bytes
  }
}
