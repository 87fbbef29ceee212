import TuttiTransport

/// What a rank tells the others about TCP: only that it has it, because they know anyway where it can be dialed.
struct TCPOffer {
  /// There is one ground for all, because every rank reaches every other.
  static let grounds: Set = [TransportGround(true)]

  var bytes: [UInt8] { [] }
}
