import Glibc
import TuttiSystem
import TuttiTopology

/// The RDMA devices of this host as the kernel's files show them, and which of them a rank can use: nothing is opened.
///
/// It holds for the moment. ``rails`` is empty exactly when ``obstacle`` says why.
package struct RDMASurvey: Sendable {
  package enum GIDType: String, Sendable {
    case roceV1 = "RoCE v1"
    case roceV2 = "RoCE v2"
    case infiniband = "InfiniBand"
  }

  /// An entry of a port's GID table that is not empty.
  package struct GID: Sendable {
    package let index: Int
    /// 16 bytes in network order.
    package let bytes: [UInt8]
    package let type: GIDType
    /// The network interface it belongs to; nil when the kernel names none.
    package let interface: String?
    /// What librdmacm connects to: the GID itself (RoCE), or an address of the IPoIB interface (InfiniBand).
    package let address: InterfaceAddress?
    /// Why it cannot be used, in a few words; nil when it can.
    package internal(set) var obstacle: String?

    /// The GID written as an IPv6 address: `::ffff:10.77.0.1`.
    package var text: String { InterfaceAddress.text(bytes) }
  }

  package struct Port: Sendable {
    /// The port's number, from 1.
    package let number: UInt8
    /// The link layer; nil when it is neither InfiniBand nor Ethernet.
    package let linkLayer: Rail.LinkLayer?
    /// The state in the kernel's words: `ACTIVE`, `DOWN`, `INIT`, `ARMED`.
    package let state: String
    /// The physical state in the kernel's words: `LinkUp`, `Disabled`, `Polling`.
    package let physicalState: String
    /// InfiniBand's local identifier; 0 without one.
    package let lid: Int
    /// The rate in Gb/s; 0 when the kernel does not say.
    package let gigabits: Double
    package internal(set) var gids: [GID]
    /// Index of the GID that is used, if this port is.
    package internal(set) var chosenGID: Int?
    package internal(set) var obstacle: String?
  }

  package struct Device: Sendable {
    package let name: String
    package internal(set) var ports: [Port]
    package internal(set) var obstacle: String?
  }

  /// All devices in the order of their names, with numbers in them compared as numbers.
  package private(set) var devices: [Device]
  /// The rails that a rank uses, best first: one for each port, up to `Rail.countMax`.
  package private(set) var rails: [Rail] = []
  /// Why there are no rails, in one sentence without a full stop.
  package private(set) var obstacle: String?
  /// The failure where the environment asks for a device, port or GID that is not there or cannot be used. It is an error
  /// even for those who would do without RDMA, because somebody wanted it.
  package private(set) var settingsFailure: FailureReport?

  package static func current(_ settings: RDMASettings, on host: RDMAHost = .current()) -> RDMASurvey {
    RDMASurvey(host.readDevices(), on: host, settings)
  }

  /// - Throws: ``settingsFailure``, or `.transport` with the obstacle.
  package func requireRails(rank: Int = -1) throws(FailureReport) -> [Rail] {
    if let settingsFailure { throw settingsFailure }
    guard let obstacle else { return rails }
    throw FailureReport(
      .transport, rank: rank, "RDMA cannot be used: \(obstacle)",
      advice: "See what collbench list says about each device, or choose another transport", transport: "rdma")
  }

  // MARK: Choosing

  private init(_ devices: [Device], on host: RDMAHost, _ settings: RDMASettings) {
    self.devices = devices
    for index in devices.indices {
      for port in devices[index].ports.indices {
        self.devices[index].ports[port].judge(settings, host.addresses)
      }
      applyDeviceList(settings, index)
      let ports = self.devices[index].ports
      if self.devices[index].obstacle == nil, ports.isEmpty { self.devices[index].obstacle = "has no ports" }
    }
    let hostObstacle = host.obstacle ?? (devices.isEmpty ? "this host has no RDMA device" : host.connectionObstacle)
    settingsFailure = unmetDevice(settings, hostObstacle)
    if hostObstacle == nil, settingsFailure == nil { chooseRails(settings) }
    if settingsFailure == nil, hostObstacle == nil, rails.isEmpty { settingsFailure = unmetGID(settings) }
    if rails.isEmpty { obstacle = settingsFailure?.message ?? hostObstacle ?? nothingUsable }
  }

  private mutating func applyDeviceList(_ settings: RDMASettings, _ index: Int) {
    guard !settings.devices.isEmpty else { return }
    let name = devices[index].name
    if settings.devices.contains(name) { return }
    for port in devices[index].ports.indices
    where !settings.devices.contains("\(name):\(devices[index].ports[port].number)") {
      devices[index].ports[port].obstacle = "not in TUTTI_RDMA_DEVICES"
    }
    if !settings.devices.contains(where: { $0.hasPrefix("\(name):") }) {
      devices[index].obstacle = "not in TUTTI_RDMA_DEVICES"
    }
  }

  /// A usable port, as a key to sort by.
  private struct Candidate {
    let device: Int
    let port: Int
    let rail: Rail
    let order: Int
    let gigabits: Double
  }

  private mutating func chooseRails(_ settings: RDMASettings) {
    var candidates: [Candidate] = []
    for (index, device) in devices.enumerated() where device.obstacle == nil {
      for (portIndex, port) in device.ports.enumerated() where port.obstacle == nil {
        guard let gid = port.gids.first(where: { $0.index == port.chosenGID }), let address = gid.address,
          let linkLayer = port.linkLayer
        else { continue }
        let order = settings.devices.firstIndex { $0 == device.name || $0 == "\(device.name):\(port.number)" } ?? 0
        candidates.append(
          Candidate(
            device: index, port: portIndex,
            rail: Rail(
              device: device.name, port: port.number, linkLayer: linkLayer, address: address.bytes,
              prefixLength: address.prefixLength,
              megabits: UInt32(min(port.gigabits * 1000, 4e9))),
            order: order, gigabits: port.gigabits))
      }
    }
    // Devices are in the order of their names, and the sort keeps the order of equals.
    let isListed = !settings.devices.isEmpty
    candidates.sort { isListed && $0.order != $1.order ? $0.order < $1.order : $0.gigabits > $1.gigabits }
    rails = candidates.prefix(Rail.countMax).map(\.rail)
    for candidate in candidates.dropFirst(Rail.countMax) {
      devices[candidate.device].ports[candidate.port].obstacle =
        "a rank uses \(Rail.countMax) ports at most: name it in TUTTI_RDMA_DEVICES"
    }
  }

  // MARK: What is said when there is nothing

  /// The first entry of `TUTTI_RDMA_DEVICES` that cannot be used.
  private func unmetDevice(_ settings: RDMASettings, _ hostObstacle: String?) -> FailureReport? {
    for entry in settings.devices {
      guard let why = obstacle(toEntry: entry) ?? hostObstacle.map({ "which cannot be used: \($0)" }) else { continue }
      return FailureReport(
        .configuration, "TUTTI_RDMA_DEVICES names \(entry), \(why)",
        advice: "\(inventory); collbench list says more about each", transport: "rdma")
    }
    return nil
  }

  private func obstacle(toEntry entry: String) -> String? {
    let parts = entry.split(separator: ":")
    guard let device = devices.first(where: { $0.name == parts[0] }) else { return "which this host does not have" }
    if let obstacle = device.obstacle { return "which cannot be used: \(obstacle)" }
    guard parts.count == 2 else {
      if device.ports.contains(where: { $0.obstacle == nil }) { return nil }
      return "which cannot be used: \(device.ports[0].named(device.ports[0].obstacle ?? ""))"
    }
    guard let port = device.ports.first(where: { "\($0.number)" == parts[1] }) else {
      return "which that device does not have"
    }
    return port.obstacle.map { "which cannot be used: \($0)" }
  }

  /// The failure where no port can meet `TUTTI_RDMA_GID_INDEX`.
  private func unmetGID(_ settings: RDMASettings) -> FailureReport? {
    guard let wanted = settings.gidIndex else { return nil }
    for device in devices where device.obstacle == nil {
      guard let port = device.ports.first(where: \.lacksWantedGID), let obstacle = port.obstacle else { continue }
      return FailureReport(
        .configuration, "TUTTI_RDMA_GID_INDEX=\(wanted) cannot be met on any port: \(device.name) \(port.named(obstacle))",
        advice: "See the GIDs with collbench list, or unset it to have one chosen", transport: "rdma")
    }
    return nil
  }

  private var nothingUsable: String {
    let reasons = devices.flatMap { device in
      device.obstacle.map { ["\(device.name): \($0)"] }
        ?? device.ports.compactMap { port in port.obstacle.map { "\(device.name) \(port.named($0))" } }
    }
    let more = reasons.count > 2 ? "; and \(reasons.count - 2) more" : ""
    return "no RDMA device can be used: " + reasons.prefix(2).joined(separator: "; ") + more
  }

  private var inventory: String {
    if devices.isEmpty { return "There is no RDMA device" }
    let names = devices.prefix(8).map(\.name).joined(separator: ", ")
    return devices.count == 1 ? "There is \(names)" : "There are \(names)\(devices.count > 8 ? " and others" : "")"
  }
}

extension RDMASurvey.Port {
  func named(_ obstacle: String) -> String { "port \(number): \(obstacle)" }
}
