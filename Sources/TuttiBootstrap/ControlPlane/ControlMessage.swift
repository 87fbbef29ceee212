import TuttiSystem
import TuttiTransport

/// A message over the tree of control connections, one in each frame.
enum ControlMessage {
  /// The communicator's first cause of failure, flooded.
  case abort(FailureReport)
  /// The sender leaves in good order; nothing follows.
  case goodbye
  /// `asker` wants to know what `target` is doing, and what its operation of a number is, if not 0; routed along the tree.
  case question(id: UInt64, asker: Int, target: Int, operationNumber: UInt64)
  /// The answer, routed back. `about` is the target, or a rank on the way to it that has left.
  case answer(id: UInt64, asker: Int, about: Int, RankAnswer)

  /// The largest encoded message: an abort.
  static let bytesMax = 4096

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    switch self {
    case .abort(let report):
      encoder.put(UInt8(1))
      report.encode(into: &encoder)
    case .goodbye:
      encoder.put(UInt8(2))
    case .question(let id, let asker, let target, let operationNumber):
      encoder.put(UInt8(3))
      encoder.put(id)
      encoder.put(UInt32(asker))
      encoder.put(UInt32(target))
      encoder.put(operationNumber)
    case .answer(let id, let asker, let about, let answer):
      encoder.put(UInt8(4))
      encoder.put(id)
      encoder.put(UInt32(asker))
      encoder.put(UInt32(about))
      answer.encode(into: &encoder)
    }
    return encoder.bytes
  }

  init(_ bytes: [UInt8], rankCount: Int) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    func takeRank(_ what: String) throws(MalformedMessage) -> Int {
      try decoder.takeCount(max: rankCount - 1, what)
    }
    switch try decoder.take(UInt8.self, "kind") {
    case 1:
      self = .abort(try FailureReport.decode(from: &decoder))
    case 2:
      self = .goodbye
    case 3:
      self = .question(
        id: try decoder.take("id"), asker: try takeRank("asker"), target: try takeRank("target"),
        operationNumber: try decoder.take("operation number"))
    case 4:
      self = .answer(
        id: try decoder.take("id"), asker: try takeRank("asker"), about: try takeRank("about"),
        try RankAnswer(from: &decoder))
    default:
      throw MalformedMessage("kind")
    }
    try decoder.finish("a control message")
  }
}

/// What is known about a rank that was asked.
enum RankAnswer: Hashable, Sendable {
  case status(RankStatus)
  /// It has left the communicator in good order.
  case left

  func encode(into encoder: inout WireEncoder) {
    switch self {
    case .status(let status):
      encoder.put(UInt8(1))
      encoder.put(status.entered)
      encoder.put(status.completed)
      encoder.put(Int32(clamping: status.waitingFor))
      encoder.put(status.operation, bytesMax: FailureReport.shortTextBytesMax)
      encoder.put(status.asked?.words ?? "", bytesMax: FailureReport.shortTextBytesMax)
      encoder.put(status.asked?.identity ?? 0)
      encoder.put(status.trouble, bytesMax: FailureReport.shortTextBytesMax)
    case .left:
      encoder.put(UInt8(2))
    }
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    switch try decoder.take(UInt8.self, "answer") {
    case 1:
      var status = RankStatus(
        entered: try decoder.take("entered"), completed: try decoder.take("completed"),
        waitingFor: Int(try decoder.take(Int32.self, "waiting for")),
        operation: try decoder.takeText(bytesMax: FailureReport.shortTextBytesMax, "operation"))
      let words = try decoder.takeText(bytesMax: FailureReport.shortTextBytesMax, "operation asked about")
      let identity: UInt64 = try decoder.take("identity of the operation asked about")
      // Every call has words.
      status.asked = words.isEmpty ? nil : CallDescription(words, identity: identity)
      status.trouble = try decoder.takeText(bytesMax: FailureReport.shortTextBytesMax, "trouble")
      self = .status(status)
    case 2:
      self = .left
    default:
      throw MalformedMessage("answer")
    }
  }
}
