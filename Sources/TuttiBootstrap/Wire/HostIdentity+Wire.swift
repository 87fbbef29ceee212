import TuttiSystem
import TuttiTopology

// Hosts as they travel.

extension HostIdentity {
  package func encode(into encoder: inout WireEncoder) {
    encoder.put(name, bytesMax: Self.textBytesMax)
    encoder.put(identity, bytesMax: Self.textBytesMax)
  }

  package init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    self.init(
      name: try decoder.takeText(bytesMax: Self.textBytesMax, "host name"),
      identity: try decoder.takeText(bytesMax: Self.textBytesMax, "host identity"))
  }
}
