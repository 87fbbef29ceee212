import TuttiTransport

/// What a rank tells the others about TCP: that it has it. Where it can be dialed they know anyway.
struct TCPOffer {
  /// Everybody reaches everybody.
  static let grounds: Set = [TransportGround(true)]

  var bytes: [UInt8] { [] }
}
