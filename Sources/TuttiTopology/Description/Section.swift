/// The kinds of mappings in a topology file, and the keys each may have. `Topologies/topology.schema.json` says the same to
/// editors; a test compares the two.
package enum Section: String, CaseIterable, Sendable {
  case topology
  case region
  case hosts
  case nic
  case figures
  case singleSwitch = "switch"
  case leafSpine = "leaf-spine"
  case fatTree = "fat-tree"
  case torus
  case dragonfly
  case graph
  case cable
  case wan

  /// The kinds of networks.
  package static let networks: [Section] = [.singleSwitch, .leafSpine, .fatTree, .torus, .dragonfly, .graph]

  package var keys: [String] {
    switch self {
    case .topology:
      ["version", "name", "source", "placement", "hosts", "network", "networks", "regions", "wan"]
    case .region: ["name", "hosts", "network", "networks"]
    case .hosts:
      ["count", "name", "names", "sockets", "numa-per-socket", "ranks", "memory", "mesh", "interconnect", "nics"]
    case .nic: ["count", "name", "bandwidth", "latency", "socket", "numa", "network"]
    case .figures: ["bandwidth", "latency"]
    case .singleSwitch: Section.network + ["rails"]
    case .leafSpine:
      Section.network + [
        "rails", "rail-spines", "hosts-per-leaf", "spines", "uplinks", "oversubscription", "uplink-bandwidth",
      ]
    case .fatTree:
      Section.network + [
        "rails", "k", "pods", "edges-per-pod", "aggregations-per-pod", "cores-per-aggregation", "hosts-per-edge",
        "oversubscription", "uplink-bandwidth", "core-bandwidth",
      ]
    case .torus: Section.network + ["rails", "dimensions", "wrap", "link-bandwidth"]
    case .dragonfly:
      Section.network + [
        "rails", "groups", "routers-per-group", "hosts-per-router", "global-links-per-router", "local-bandwidth",
        "global-bandwidth", "global-latency",
      ]
    case .graph: Section.network + ["switches", "links", "gateway"]
    case .cable: ["between", "count", "bandwidth", "latency"]
    case .wan: ["bandwidth", "latency", "links"]
    }
  }

  /// What every network may have.
  private static let network = ["type", "name", "bandwidth", "switch-latency", "cable-latency"]

  var what: String {
    switch self {
    case .topology: "a topology"
    case .region: "a region"
    case .hosts: "hosts"
    case .nic: "network interfaces"
    case .figures: "a link inside a host"
    case .singleSwitch, .leafSpine, .fatTree, .torus, .dragonfly, .graph: "a \(rawValue) network"
    case .cable: "a link"
    case .wan: "a wide area network"
    }
  }
}
