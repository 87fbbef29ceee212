// A network of a region: a fabric, as often as it has planes, and how its ports are numbered.

/// Interfaces that reach each other, or would if something were plugged in.
///
/// Invariant: the n-th interface that a host has in the network is in plane `n % planes`, at port `ordinal * slots + n /
/// planes`, where the ordinal counts the hosts of the region that have interfaces in it. Planes are equal, and have no link
/// to each other.
package struct Network: Sendable {
  package let name: String
  package let fabric: any Fabric
  package let planes: Int
  /// Ports of a host in each plane.
  package let slots: Int
  /// Where the cables of hosts, and the links between switches, are numbered from.
  package internal(set) var firstAccess = 0, firstLink = 0
  /// The runs of hosts in it: the place of the first host of each, and which run of the region it is.
  var users: [(ordinal: Int, run: Int)] = []

  /// Its place among the networks of its region.
  var index = 0

  package init(name: String, fabric: any Fabric, planes: Int, slots: Int) {
    self.name = name
    self.fabric = fabric
    self.planes = planes
    self.slots = slots
  }

  /// Two for each port of each plane: from the host, to the host.
  package var accessCount: Int { planes * fabric.portCount * 2 }
  package var linkCount: Int { planes * fabric.linkCount }

  /// The port of a host's n-th interface in the network.
  package func port(ordinal: Int, index: Int) -> (plane: Int, port: Int) {
    (index % planes, ordinal * slots + index / planes)
  }

  package func accessLink(plane: Int, port: Int, isUp: Bool) -> Int {
    firstAccess + (plane * fabric.portCount + port) * 2 + (isUp ? 0 : 1)
  }

  package func base(plane: Int) -> Int { firstLink + plane * fabric.linkCount }

  /// Interfaces with the same number reach each other. nil: not plugged in.
  package func segment(plane: Int, port: Int) -> Int? {
    fabric.segment(of: port).map { plane * (fabric.portCount + fabric.linkCount + fabric.switchCount + 1) + $0 }
  }
}

/// Regions of a wide area: hosts that are near each other, and a router.
package struct Region: Sendable {
  package let name: String
  package internal(set) var runs: [HostRun]
  package internal(set) var networks: [Network]
  /// The network that ranks use, by which hosts are grouped: that of the first host's fastest interfaces.
  package let primary: Int?

  package init(name: String, runs: [HostRun], networks: [Network]) {
    self.name = name
    self.networks = networks
    self.runs = runs.map { run in
      var run = run
      run.nics = networks.indices.map { network in run.kind.nics.indices.filter { run.kind.nics[$0].network == network } }
      return run
    }
    primary = runs.lazy.compactMap { run in run.kind.affinity.first?.first.map { run.kind.nics[$0].network } }.first
    for index in self.networks.indices { self.networks[index].index = index }
    var next = [Int](repeating: 0, count: networks.count)
    for index in self.runs.indices {
      self.runs[index].ordinals = networks.indices.map { network in
        guard !self.runs[index].nics[network].isEmpty else { return nil }
        defer { next[network] += self.runs[index].count }
        self.networks[network].users.append((next[network], index))
        return next[network]
      }
    }
  }
}

/// Links between the routers of regions.
package struct WideArea: Sendable {
  package let routes: GraphRoutes
  package internal(set) var firstLink = 0

  package init(routes: GraphRoutes) { self.routes = routes }
}
