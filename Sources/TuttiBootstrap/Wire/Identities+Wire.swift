import TuttiSystem
import TuttiTopology

// Processes and hosts as they travel.

extension ProcessIdentity {
  func encode(into encoder: inout WireEncoder) {
    encoder.put(pid)
    encoder.put(startTime)
    encoder.put(namespace)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    self.init(
      pid: try decoder.take("pid"), startTime: try decoder.take("start time"), namespace: try decoder.take("namespace"))
  }
}

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
