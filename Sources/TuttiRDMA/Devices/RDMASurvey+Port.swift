import TuttiSystem

// Whether a port can be used, and which of its GIDs: RoCE v2 before v1, IPv4 before IPv6, the first before the next.

extension RDMASurvey.Port {
  /// Writes the obstacles of the port and its GIDs, and the choice among them.
  mutating func judge(_ settings: RDMASettings, _ addresses: [InterfaceAddress]) {
    for index in gids.indices { gids[index].obstacle = gids[index].ownObstacle(addresses) }
    if let wanted = settings.gidIndex {
      for index in gids.indices where gids[index].index != wanted && gids[index].obstacle == nil {
        gids[index].obstacle = "TUTTI_RDMA_GID_INDEX is \(wanted)"
      }
    } else if gids.contains(where: { $0.type == .roceV2 && $0.obstacle == nil }) {
      for index in gids.indices where gids[index].type == .roceV1 && gids[index].obstacle == nil {
        gids[index].obstacle = "RoCE v1: v2 is preferred"
      }
    }
    let usable = gids.filter { $0.obstacle == nil }
    chosenGID = (usable.first { $0.address?.bytes.count == 4 } ?? usable.first)?.index
    obstacle = stateObstacle ?? (chosenGID == nil ? gidObstacle(settings) : nil)
  }

  private var stateObstacle: String? {
    if linkLayer == nil { return "neither InfiniBand nor Ethernet" }
    if state == "ACTIVE" { return nil }
    let text = "port is \(state) (physical state \(physicalState))"
    return linkLayer == .infiniband && state == "INIT" ? text + ": no subnet manager has set it up" : text
  }

  private func gidObstacle(_ settings: RDMASettings) -> String {
    if let wanted = settings.gidIndex {
      let reason = gids.first { $0.index == wanted }.map { ", is not usable: \($0.obstacle ?? "")" }
      return "GID \(wanted), which TUTTI_RDMA_GID_INDEX asks for\(reason ?? ", is empty")"
    }
    // All IPv6 interfaces have link-local addresses; what is wrong with another says more.
    let telling = gids.first { $0.obstacle != nil && $0.obstacle != RDMASurvey.GID.linkLocal }
    if let telling, let obstacle = telling.obstacle { return "GID \(telling.index): \(obstacle)" }
    let interface = gids.lazy.compactMap(\.interface).first.map { " on \($0)" } ?? ""
    return "no IP address\(interface) but link-local ones: librdmacm connects by address"
  }

  /// Whether the port cannot be used because it lacks the GID that was asked for, and for nothing else. Asked where one was.
  var lacksWantedGID: Bool { stateObstacle == nil && obstacle != nil && chosenGID == nil }
}

extension RDMASurvey.GID {
  static let linkLocal = "link-local: other hosts cannot be told its scope"

  /// What is wrong with the GID, whatever the others are.
  fileprivate func ownObstacle(_ addresses: [InterfaceAddress]) -> String? {
    guard type != .infiniband else { return address == nil ? "no IP address: librdmacm connects by address" : nil }
    let own = InterfaceAddress.unmapped(bytes)
    if InterfaceAddress.isLinkLocal(own) { return Self.linkLocal }
    if InterfaceAddress.isLoopback(own) { return "loopback: other hosts cannot reach it" }
    guard let address else { return "no interface of this network namespace has this address" }
    return address.isUp ? nil : "interface \(address.interface) is down"
  }
}
