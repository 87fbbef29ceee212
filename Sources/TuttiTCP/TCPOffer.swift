import TuttiTransport

/// What a rank tells the others about TCP, which is only that it has it. Where it can be dialed they know anyway.
struct TCPOffer {
  /// There is one ground for all, because every rank reaches every other.
  static let grounds: Set = [TransportGround(true)]

  var bytes: [UInt8] { [] }
}
