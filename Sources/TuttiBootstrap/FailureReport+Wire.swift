import TuttiSystem

// A failure report as it travels: bounded texts, unknown codes of later versions read as `.transport`.

extension FailureReport {
  static let messageBytesMax = 1024
  static let shortTextBytesMax = 256

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
      transport: transport, systemError: systemError)
  }
}
