import TuttiTopology

// Rails as people write them.

extension Rail {
  /// The address: `10.77.0.1`, `fd00::1`.
  package var addressText: String { InterfaceAddress.text(address) }

  /// `rxe0 port 1 (10.77.0.1)`.
  package var description: String { "\(device) port \(port) (\(addressText))" }
}
