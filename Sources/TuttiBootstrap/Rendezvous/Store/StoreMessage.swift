import TuttiSystem

// What a client and the server of a store say to each other, a frame each: one question, one answer.

enum StoreQuestion: Equatable {
  case put(key: String, value: [UInt8])
  case get(key: String)
  case wait(key: String)

  static let bytesMax = 2048

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    switch self {
    case .put(let key, let value):
      encoder.put(UInt8(1))
      encoder.put(key, bytesMax: RendezvousLimits.keyBytesMax)
      encoder.put(raw: value)
    case .get(let key):
      encoder.put(UInt8(2))
      encoder.put(key, bytesMax: RendezvousLimits.keyBytesMax)
    case .wait(let key):
      encoder.put(UInt8(3))
      encoder.put(key, bytesMax: RendezvousLimits.keyBytesMax)
    }
    return encoder.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    let kind = try decoder.take(UInt8.self, "kind")
    let key = try decoder.takeText(bytesMax: RendezvousLimits.keyBytesMax, "key")
    switch kind {
    case 1:
      guard decoder.remaining <= RendezvousLimits.valueBytesMax else { throw MalformedMessage("value") }
      self = .put(key: key, value: try decoder.take(raw: decoder.remaining, "value"))
    case 2: self = .get(key: key)
    case 3: self = .wait(key: key)
    default: throw MalformedMessage("kind")
    }
    try decoder.finish("a question")
  }
}

enum StoreAnswer: Equatable {
  case value([UInt8])
  /// Nothing is stored there.
  case nothing
  case stored
  /// The store holds as much as it may.
  case full

  var bytes: [UInt8] {
    switch self {
    case .value(let value): [1] + value
    case .nothing: [2]
    case .stored: [3]
    case .full: [4]
    }
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    switch (bytes.first, bytes.count) {
    case (1, ...(1 + RendezvousLimits.valueBytesMax)): self = .value(Array(bytes.dropFirst()))
    case (2, 1): self = .nothing
    case (3, 1): self = .stored
    case (4, 1): self = .full
    default: throw MalformedMessage("an answer")
    }
  }
}

extension CommunicatorID {
  /// In place of a communicator's number, in handshakes with the server of a store.
  static let store = CommunicatorID(high: 0, low: 1)
}
