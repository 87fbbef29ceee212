/// A rank's answer to one that wants to open a link, over a connection that has proven the job's secret: where its listeners
/// are, and what to show there. Little-endian, 32 bytes: magic 4, version 1, queue pairs 1, zero 2, token 16, a port 2 for
/// each of four rails.
struct RDMAInvitation: Equatable {
  static let byteCount = 32
  private static let magic: [UInt8] = Array("TuRI".utf8)
  static let version: UInt8 = 1

  /// The most queue pairs that the rank would use.
  var queuePairs: Int
  var token: RDMAToken
  /// The port of the listener on each rail; 0 for none.
  var ports: [UInt16]

  init(queuePairs: Int, token: RDMAToken, ports: [UInt16]) {
    self.queuePairs = queuePairs
    self.token = token
    self.ports = ports
  }

  var bytes: [UInt8] {
    var bytes = Self.magic + [Self.version, UInt8(queuePairs), 0, 0] + token.bytes
    for port in (ports + [0, 0, 0, 0]).prefix(4) { bytes += [UInt8(port & 0xFF), UInt8(port >> 8)] }
    return bytes
  }

  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount, Array(bytes[..<4]) == Self.magic, bytes[4] == Self.version,
      (1...RDMALayout.queuePairsMax).contains(Int(bytes[5]))
    else { return nil }
    queuePairs = Int(bytes[5])
    token = RDMAToken(bytes[8..<24])
    ports = (0..<4).map { UInt16(bytes[24 + 2 * $0]) | UInt16(bytes[25 + 2 * $0]) << 8 }
  }
}

/// A secret that is valid for one link, from one peer.
struct RDMAToken: Equatable, Hashable, Sendable {
  static let byteCount = 16
  let bytes: [UInt8]

  init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  static func fresh() -> RDMAToken {
    var generator = SystemRandomNumberGenerator()
    return RDMAToken((0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) })
  }

  /// Compares in constant time.
  func isEqual(to other: RDMAToken) -> Bool {
    var difference: UInt8 = bytes.count == other.bytes.count ? 0 : 1
    for (own, others) in zip(bytes, other.bytes) { difference |= own ^ others }
    return difference == 0
  }
}

/// The private data of a connection request (56 bytes at most) and of its answer: who, and where its memory is.
/// Little-endian: magic 4, version 1, queue pair 1, queue pairs 1, the dialed rail 1, token 16 (zero in the answer), segment
/// bytes 4, key 4, address 8, MTU 1 (`enum ibv_mtu`), zero 3.
struct RDMAIntroduction: Equatable {
  static let byteCount = 44
  private static let magic: [UInt8] = Array("TuRC".utf8)
  static let version: UInt8 = 1

  /// The number of this queue pair on the link, and how many the link has.
  var queuePair: Int
  var queuePairs: Int
  /// The rail of the listener.
  var rail: Int
  var token: RDMAToken
  var segmentBytesMax: Int
  /// The longest packet (`enum ibv_mtu`: 1 to 5) that the sender takes.
  var mtu: Int
  /// The key of the sender's memory for this link, over this queue pair.
  var key: UInt32
  var address: UInt64

  init(
    queuePair: Int, queuePairs: Int, rail: Int, token: RDMAToken, segmentBytesMax: Int, mtu: Int,
    key: UInt32, address: UInt64
  ) {
    self.queuePair = queuePair
    self.queuePairs = queuePairs
    self.rail = rail
    self.token = token
    self.segmentBytesMax = segmentBytesMax
    self.mtu = mtu
    self.key = key
    self.address = address
  }

  var bytes: [UInt8] {
    var bytes = Self.magic + [Self.version, UInt8(queuePair), UInt8(queuePairs), UInt8(rail)] + token.bytes
    withUnsafeBytes(of: UInt32(segmentBytesMax).littleEndian) { bytes += $0 }
    withUnsafeBytes(of: key.littleEndian) { bytes += $0 }
    withUnsafeBytes(of: address.littleEndian) { bytes += $0 }
    return bytes + [UInt8(mtu), 0, 0, 0]
  }

  init?(_ data: UnsafeRawBufferPointer) {
    guard data.count >= Self.byteCount, Array(data[..<4]) == Self.magic, data[4] == Self.version else { return nil }
    queuePair = Int(data[5])
    queuePairs = Int(data[6])
    rail = Int(data[7])
    token = RDMAToken(data[8..<24])
    segmentBytesMax = Int(UInt32(littleEndian: data.loadUnaligned(fromByteOffset: 24, as: UInt32.self)))
    key = UInt32(littleEndian: data.loadUnaligned(fromByteOffset: 28, as: UInt32.self))
    address = UInt64(littleEndian: data.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
    mtu = Int(data[40])
    guard (1...RDMALayout.queuePairsMax).contains(queuePairs), queuePair < queuePairs, (1...5).contains(mtu) else {
      return nil
    }
  }
}
