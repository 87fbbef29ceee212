import Glibc

/// One way of a rank onto an RDMA fabric: a port of a device, and the address by which peers find it. Travels.
package struct Rail: Hashable, Sendable {
  /// Raw values travel.
  package enum LinkLayer: UInt8, Sendable, CaseIterable {
    case infiniband = 1
    /// RoCE or iWARP.
    case ethernet = 2
  }

  /// The name of the device: `mlx5_0`.
  package var device: String
  /// From 1.
  package var port: UInt8
  package var linkLayer: LinkLayer
  /// An IPv4 or IPv6 address of that port in network order, 4 or 16 bytes.
  package var address: [UInt8]
  /// Bits of the address that are the subnet's.
  package var prefixLength: UInt8

  /// Rails of a rank.
  package static let countMax = 4
  package static let deviceBytesMax = 64

  package init(device: String, port: UInt8, linkLayer: LinkLayer, address: [UInt8], prefixLength: UInt8) {
    self.device = device
    self.port = port
    self.linkLayer = linkLayer
    self.address = address
    self.prefixLength = prefixLength
  }

  /// Whether both are on one fabric as far as their addresses tell: the same link layer and subnet.
  package func sharesSubnet(with other: Rail) -> Bool {
    guard canRoute(to: other), prefixLength == other.prefixLength else { return false }
    var bits = Int(prefixLength)
    for (own, others) in zip(address, other.address) where bits > 0 {
      let mask = bits >= 8 ? UInt8.max : ~(UInt8.max >> UInt8(bits))
      if (own ^ others) & mask != 0 { return false }
      bits -= 8
    }
    return true
  }

  /// Whether packets could go from one to the other, through routers that lead there.
  package func canRoute(to other: Rail) -> Bool {
    linkLayer == other.linkLayer && address.count == other.address.count
  }

  /// The address as people write it.
  package var addressText: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(address.count == 4 ? AF_INET : AF_INET6, address, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// `rxe0 port 1 (10.77.0.1)`.
  package var description: String { "\(device) port \(port) (\(addressText))" }
}
