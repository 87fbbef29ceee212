import TuttiRDMA
import TuttiSystem

/// The RDMA devices of this host and what speaks against each, for tools that show them. What ranks use is `RDMASurvey`'s.
package struct RDMAFacts: Sendable {
  /// Whether something can be used, and why not.
  package enum Verdict: Hashable, Sendable {
    case used
    /// Nothing speaks against it, and another is preferred or something around it is in the way.
    case unused
    /// In a few words.
    case unusable(String)
  }

  package struct GID: Sendable {
    package let index: Int
    /// `RoCE v2`.
    package let type: String
    /// As IPv6 addresses are written.
    package let text: String
    package let interface: String?
    /// By which peers connect: `10.77.0.1/24`.
    package let address: String?
    package let verdict: Verdict
  }

  package struct Port: Sendable {
    package let number: Int
    /// `InfiniBand`, `Ethernet`; nil when it is neither.
    package let linkLayer: String?
    /// `ACTIVE`, and `LinkUp`.
    package let state: String
    package let physicalState: String
    /// Gb/s; 0 when the kernel does not say.
    package let gigabits: Double
    /// From 1, in the order of preference; nil when it is not used.
    package let rail: Int?
    package let gids: [GID]
    package let verdict: Verdict
  }

  package struct Device: Sendable {
    package let name: String
    package let ports: [Port]
    package let verdict: Verdict
  }

  package let devices: [Device]
  /// Why none is used; nil when one is.
  package let obstacle: String?

  /// - Parameter environment: Whose `TUTTI_RDMA_*` count; nil for the process's. If one is wrong, that is the obstacle, and
  ///   the devices are shown as without it.
  package static func current(_ environment: [String: String]? = nil) -> RDMAFacts {
    do throws(FailureReport) {
      return RDMAFacts(.current(try RDMASettings.read(environment ?? Communicator.processEnvironment())))
    } catch {
      return RDMAFacts(.current(RDMASettings()), settingsObstacle: "\(error.message). \(error.advice)")
    }
  }

  init(_ survey: RDMASurvey, settingsObstacle: String? = nil) {
    obstacle = settingsObstacle ?? survey.obstacle
    devices = survey.devices.map { device in
      let ports = device.ports.map { port in
        let rail = survey.rails.firstIndex { $0.device == device.name && $0.port == port.number }
        return Port(port, rail: settingsObstacle == nil ? rail : nil)
      }
      return Device(
        name: device.name, ports: ports,
        verdict: Verdict(device.obstacle, isUsed: ports.contains { $0.rail != nil }))
    }
  }
}

extension RDMAFacts.Verdict {
  fileprivate init(_ obstacle: String?, isUsed: Bool) {
    self = obstacle.map { .unusable($0) } ?? (isUsed ? .used : .unused)
  }
}

extension RDMAFacts.Port {
  fileprivate init(_ port: RDMASurvey.Port, rail: Int?) {
    number = Int(port.number)
    linkLayer = port.linkLayer.map { $0 == .infiniband ? "InfiniBand" : "Ethernet" }
    state = port.state
    physicalState = port.physicalState
    gigabits = port.gigabits
    self.rail = rail.map { $0 + 1 }
    gids = port.gids.map { gid in
      RDMAFacts.GID(
        index: gid.index, type: gid.type.rawValue, text: gid.text, interface: gid.interface,
        address: gid.address?.description,
        verdict: RDMAFacts.Verdict(gid.obstacle, isUsed: rail != nil && gid.index == port.chosenGID))
    }
    verdict = RDMAFacts.Verdict(port.obstacle, isUsed: rail != nil)
  }
}
