import TuttiSystem

// A failure report as it travels: bounded texts, a bounded chain of causes, unknown codes of later versions read as
// `.transport`.

extension FailureReport {
  static let messageBytesMax = 1024
  static let shortTextBytesMax = 256
  /// Causes that travel: the nearest ones, each with who, what and the system's error. A report stays below
  /// ``ControlMessage/bytesMax``.
  static let causesMax = 2

  func encode(into encoder: inout WireEncoder) {
    encoder.put(code.rawValue)
    encoder.put(Int32(clamping: rank))
    encoder.put(Int32(clamping: peer))
    encoder.put(Int32(clamping: step))
    encoder.put(systemError)
    encoder.put(operationNumber)
    encoder.put(message, bytesMax: Self.messageBytesMax)
    encoder.put(advice, bytesMax: Self.messageBytesMax)
    encoder.put(operation, bytesMax: Self.shortTextBytesMax)
    encoder.put(transport, bytesMax: Self.shortTextBytesMax)
    encodeCauses(into: &encoder)
  }

  private func encodeCauses(into encoder: inout WireEncoder) {
    var causes: [FailureReport] = []
    while causes.count < Self.causesMax, let next = (causes.last ?? self).cause { causes.append(next) }
    encoder.put(UInt8(causes.count))
    for cause in causes {
      encoder.put(cause.code.rawValue)
      encoder.put(Int32(clamping: cause.rank))
      encoder.put(Int32(clamping: cause.peer))
      encoder.put(cause.systemError)
      encoder.put(cause.message, bytesMax: Self.shortTextBytesMax)
    }
  }

  static func decode(from decoder: inout WireDecoder) throws(MalformedMessage) -> FailureReport {
    let code = FailureCode(rawValue: try decoder.take(UInt8.self, "code")) ?? .transport
    let rank = Int(try decoder.take(Int32.self, "rank"))
    let peer = Int(try decoder.take(Int32.self, "peer"))
    let step = Int(try decoder.take(Int32.self, "step"))
    let systemError = try decoder.take(Int32.self, "system error")
    let number = try decoder.take(UInt64.self, "operation number")
    let message = try decoder.takeText(bytesMax: messageBytesMax, "message")
    let advice = try decoder.takeText(bytesMax: messageBytesMax, "advice")
    let operation = try decoder.takeText(bytesMax: shortTextBytesMax, "operation")
    let transport = try decoder.takeText(bytesMax: shortTextBytesMax, "transport")
    return FailureReport(
      code, rank: rank, peer: peer, message, advice: advice, operation: operation, operationNumber: number, step: step,
      transport: transport, systemError: systemError, cause: try decodeCauses(from: &decoder))
  }

  private static func decodeCauses(from decoder: inout WireDecoder) throws(MalformedMessage) -> FailureReport? {
    let count = try decoder.take(UInt8.self, "causes")
    guard count <= causesMax else { throw MalformedMessage("causes") }
    var causes: [FailureReport] = []
    for _ in 0..<count {
      let code = FailureCode(rawValue: try decoder.take(UInt8.self, "code of a cause")) ?? .transport
      let rank = Int(try decoder.take(Int32.self, "rank of a cause"))
      let peer = Int(try decoder.take(Int32.self, "peer of a cause"))
      let systemError = try decoder.take(Int32.self, "system error of a cause")
      let message = try decoder.takeText(bytesMax: shortTextBytesMax, "message of a cause")
      causes.append(FailureReport(code, rank: rank, peer: peer, message, systemError: systemError))
    }
    return causes.reversed().reduce(FailureReport?.none) { inner, outer in outer.with(cause: inner) }
  }
}
