import TuttiSystem
import TuttiTopology
import TuttiTransport

/// What a rank tells the others about RDMA: its rails, or why it has none.
package struct RDMAOffer: Hashable, Sendable {
  /// The rails, best first, at most `Rail.countMax`.
  package var rails: [Rail]
  /// Why it has no rails though it would use them, in one sentence without a full stop: `no RDMA device`. Empty when it has
  /// some.
  package var obstacle: String

  static let obstacleBytesMax = 256

  package init(rails: [Rail], obstacle: String) {
    precondition(rails.count <= Rail.countMax && rails.allSatisfy { $0.device.utf8.count <= Rail.deviceBytesMax })
    self.rails = rails
    self.obstacle = obstacle
  }

  package var bytes: [UInt8] {
    var encoder = WireEncoder()
    encoder.put(obstacle, bytesMax: Self.obstacleBytesMax)
    encoder.put(UInt32(rails.count))
    for rail in rails { rail.encode(into: &encoder) }
    return encoder.bytes
  }

  package init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    obstacle = try decoder.takeText(bytesMax: Self.obstacleBytesMax, "obstacle")
    rails = []
    for _ in 0..<(try decoder.takeCount(max: Rail.countMax, "rails")) { rails.append(try Rail(from: &decoder)) }
    try decoder.finish("an offer of RDMA")
  }

  /// Reads a rank's offer; without rails where there is none or it cannot be read.
  init(of rank: RankFacts) {
    guard let bytes = rank.offer(of: RDMATransport.kind) else {
      self.init(rails: [], obstacle: "")
      return
    }
    do throws(MalformedMessage) { try self.init(bytes) } catch {
      self.init(rails: [], obstacle: "its offer cannot be read")
    }
  }

  /// Why it has no rails, as the end of a sentence.
  var obstacleText: String { obstacle.isEmpty ? "it offers no device" : obstacle }

  /// `mlx5_0 port 1 (10.1.0.7) and mlx5_1 port 1 (10.1.1.7)`.
  var railText: String { rails.map(\.description).joined(separator: " and ") }
}

/// Encodes and decodes a rail: texts and numbers are bounded, an address has 4 or 16 bytes, and its prefix is no longer than
/// it.
extension Rail {
  func encode(into encoder: inout WireEncoder) {
    encoder.put(device, bytesMax: Self.deviceBytesMax)
    encoder.put(port)
    encoder.put(linkLayer.rawValue)
    encoder.put(UInt8(address.count))
    encoder.put(raw: address)
    encoder.put(prefixLength)
    encoder.put(megabits)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    let device = try decoder.takeText(bytesMax: Self.deviceBytesMax, "device")
    let port = try decoder.take(UInt8.self, "port")
    guard port > 0 else { throw MalformedMessage("port") }
    guard let linkLayer = LinkLayer(rawValue: try decoder.take("link layer")) else { throw MalformedMessage("link layer") }
    let addressBytes = Int(try decoder.take(UInt8.self, "rail address"))
    guard addressBytes == 4 || addressBytes == 16 else { throw MalformedMessage("rail address") }
    let address = try decoder.take(raw: addressBytes, "rail address")
    let prefixLength = try decoder.take(UInt8.self, "prefix length")
    guard Int(prefixLength) <= 8 * addressBytes else { throw MalformedMessage("prefix length") }
    self.init(
      device: device, port: port, linkLayer: linkLayer, address: address, prefixLength: prefixLength,
      megabits: try decoder.take(UInt32.self, "rail rate"))
  }
}
