import TuttiSystem
import TuttiTopology

/// A rail as it travels: texts and numbers bounded, an address of 4 or 16 bytes, a prefix no longer than it.
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
