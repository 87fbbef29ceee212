import TuttiSystem
import TuttiTransport

/// The RDMA devices of this host and what is wrong with each, for tools that show them. `RDMAReport+Text.swift` writes it as
/// text. `RDMASurvey` decides what ranks use.
struct RDMAReport: Sendable {
  /// Whether something can be used, and why not.
  enum Verdict: Hashable, Sendable {
    case used
    /// Nothing is wrong with it, but another is preferred, or something around it is in the way.
    case unused
    /// It cannot be used; the reason, in a few words.
    case unusable(String)
  }

  struct GID: Sendable {
    let index: Int
    /// `RoCE v2`.
    let type: String
    /// The GID, written as an IPv6 address.
    let text: String
    let interface: String?
    /// The address by which peers connect: `10.77.0.1/24`.
    let address: String?
    let verdict: Verdict
  }

  struct Port: Sendable {
    let number: Int
    /// `InfiniBand`, `Ethernet`; nil when it is neither.
    let linkLayer: String?
    /// `ACTIVE`, and `LinkUp`.
    let state: String
    let physicalState: String
    /// Gb/s; 0 when the kernel does not say.
    let gigabits: Double
    /// Its rank in the order of preference, from 1; nil when it is not used.
    let rail: Int?
    let gids: [GID]
    let verdict: Verdict
  }

  struct Device: Sendable {
    let name: String
    let ports: [Port]
    let verdict: Verdict
  }

  let devices: [Device]
  /// Why none is used; nil when one is.
  let obstacle: String?
  /// The same reason without what to do about it.
  let shortObstacle: String?

  /// - Parameter environment: The environment whose `TUTTI_RDMA_*` count. If one is wrong, that is the obstacle, and the
  ///   devices are shown as if it were not set.
  init(_ environment: [String: String]) {
    do throws(FailureReport) { self.init(.current(try RDMASettings.read(environment))) } catch {
      self.init(.current(RDMASettings()), settingsFailure: error)
    }
  }

  init(_ survey: RDMASurvey, settingsFailure: FailureReport? = nil) {
    obstacle = settingsFailure.map { "\($0.message). \($0.advice)" } ?? survey.obstacle
    shortObstacle = (settingsFailure ?? survey.settingsFailure)?.message ?? survey.obstacle
    devices = survey.devices.map { device in
      let ports = device.ports.map { port in
        let rail = survey.rails.firstIndex { $0.device == device.name && $0.port == port.number }
        return Port(port, rail: settingsFailure == nil ? rail : nil)
      }
      return Device(
        name: device.name, ports: ports,
        verdict: Verdict(device.obstacle, isUsed: ports.contains { $0.rail != nil }))
    }
  }
}

extension RDMAReport.Verdict {
  fileprivate init(_ obstacle: String?, isUsed: Bool) {
    self = obstacle.map { .unusable($0) } ?? (isUsed ? .used : .unused)
  }
}

extension RDMAReport.Port {
  fileprivate init(_ port: RDMASurvey.Port, rail: Int?) {
    number = Int(port.number)
    linkLayer = port.linkLayer.map { $0 == .infiniband ? "InfiniBand" : "Ethernet" }
    state = port.state
    physicalState = port.physicalState
    gigabits = port.gigabits
    self.rail = rail.map { $0 + 1 }
    gids = port.gids.map { gid in
      RDMAReport.GID(
        index: gid.index, type: gid.type.rawValue, text: gid.text, interface: gid.interface,
        address: gid.address?.description,
        verdict: RDMAReport.Verdict(gid.obstacle, isUsed: rail != nil && gid.index == port.chosenGID))
    }
    verdict = RDMAReport.Verdict(port.obstacle, isUsed: rail != nil)
  }
}
