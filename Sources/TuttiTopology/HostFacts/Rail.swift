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
  /// The port's rate in Mb/s; 0 where its host does not tell.
  package var megabits: UInt32

  /// Rails of a rank.
  package static let countMax = 4
  package static let deviceBytesMax = 64

  package init(
    device: String, port: UInt8, linkLayer: LinkLayer, address: [UInt8], prefixLength: UInt8, megabits: UInt32 = 0
  ) {
    self.device = device
    self.port = port
    self.linkLayer = linkLayer
    self.address = address
    self.prefixLength = prefixLength
    self.megabits = megabits
  }

  /// Whether both are on one fabric as far as their addresses tell: the same link layer and subnet.
  package func sharesSubnet(with other: Rail) -> Bool {
    guard canRoute(to: other), prefixLength == other.prefixLength else { return false }
    return subnetBits == other.subnetBits
  }

  /// The address without the bits that are the rail's own.
  package var subnetBits: [UInt8] {
    var bits = Int(prefixLength)
    return address.map { byte in
      defer { bits -= 8 }
      return bits >= 8 ? byte : bits <= 0 ? 0 : byte & ~(UInt8.max >> UInt8(bits))
    }
  }

  /// Whether packets could go from one to the other, through routers that lead there.
  package func canRoute(to other: Rail) -> Bool {
    linkLayer == other.linkLayer && address.count == other.address.count
  }

  /// Which of a rank's rails to connect with which of a peer's, by their places in the lists: those that share a subnet,
  /// each once; or else the first that could be routed.
  ///
  /// Segments go over the pairs in turn, so the slowest sets the pace of all. Where some are slower than others, only so
  /// many of the fastest are taken as carry most together: of rates 100, 100, 40 the first two.
  package static func pairs(_ own: [Rail], _ others: [Rail]) -> [(own: Int, others: Int)] {
    var pairs: [(own: Int, others: Int)] = []
    for (index, rail) in own.enumerated() {
      let partner = others.indices.first { other in
        others[other].sharesSubnet(with: rail) && !pairs.contains { $0.others == other }
      }
      if let partner { pairs.append((index, partner)) }
    }
    if pairs.isEmpty {
      for (index, rail) in own.enumerated() {
        if let other = others.firstIndex(where: { $0.canRoute(to: rail) }) { return [(index, other)] }
      }
    }
    func rate(_ pair: (own: Int, others: Int)) -> Int { Int(min(own[pair.own].megabits, others[pair.others].megabits)) }
    let rates = pairs.map(rate).sorted(by: >)
    let least = rates.indices.max { ($0 + 1) * rates[$0] < ($1 + 1) * rates[$1] }.map { rates[$0] } ?? 0
    return pairs.filter { rate($0) >= least }
  }
}
