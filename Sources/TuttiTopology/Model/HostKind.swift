// What is inside one host, and what a message passes there: memory, the mesh of a socket, the interconnect of sockets.

/// A network interface of a host: one end of a cable.
package struct NIC: Hashable, Sendable {
  /// Unique in its host: `nic0`.
  package var name: String
  /// The NUMA node of the host that it is attached to.
  package var numa: Int
  /// Which network of its region it is in.
  package var network: Int
  /// The rate of the port, in each direction, and the time that a message spends in the interface, its bus and the software
  /// that drives it, on one side.
  package var figures: LinkFigures

  package init(name: String, numa: Int, network: Int, figures: LinkFigures) {
    self.name = name
    self.numa = numa
    self.network = network
    self.figures = figures
  }
}

/// Hosts that are equal inside.
///
/// The links in a host are numbered: the memory of each NUMA node, then, where sockets have several nodes, the mesh of each
/// socket, then, where there are several sockets, the interconnect from each to each other one.
package struct HostKind: Hashable, Sendable {
  package let sockets: Int
  package let numaPerSocket: Int
  /// Ranks on each such host.
  package let ranks: Int
  /// The memory of a NUMA node: all that ranks there send to each other passes it.
  package let memory: LinkFigures
  /// Between NUMA nodes of one socket, all of them together.
  package let mesh: LinkFigures
  /// From one socket to another.
  package let interconnect: LinkFigures
  package let nics: [NIC]
  /// By local rank: the interfaces it uses, best first. All of one speed; those of the rank's own NUMA node, else socket,
  /// come first, and ranks begin with different ones.
  package let affinity: [[Int]]
  /// The interfaces that are slower than those: for hosts that the fast ones do not reach, the fastest first.
  let slower: [Int]

  /// The limits of what a file may say.
  package static let socketsMax = 64, numaMax = 256, ranksMax = 4096, nicsMax = 64

  package init(
    sockets: Int, numaPerSocket: Int, ranks: Int, memory: LinkFigures, mesh: LinkFigures, interconnect: LinkFigures,
    nics: [NIC]
  ) {
    self.sockets = sockets
    self.numaPerSocket = numaPerSocket
    self.ranks = ranks
    self.memory = memory
    self.mesh = mesh
    self.interconnect = interconnect
    self.nics = nics
    let numaCount = sockets * numaPerSocket
    // A slow interface for the administrators does not carry what ranks send.
    let fastest = nics.map(\.figures.bandwidth).max()
    let usable = nics.indices.filter { nics[$0].figures.bandwidth == fastest }
    slower = nics.indices.filter { nics[$0].figures.bandwidth != fastest }.sorted {
      (nics[$1].figures.bandwidth, $0) < (nics[$0].figures.bandwidth, $1)
    }
    var seen = [Int](repeating: 0, count: numaCount)
    affinity = (0..<ranks).map { local in
      let own = local * numaCount / ranks
      defer { seen[own] += 1 }
      func distance(_ nic: Int) -> Int {
        nics[nic].numa == own ? 0 : nics[nic].numa / numaPerSocket == own / numaPerSocket ? 1 : 2
      }
      let nearest = usable.map(distance).min()
      let near = usable.filter { distance($0) == nearest }
      let far = usable.filter { distance($0) != nearest }
      guard !near.isEmpty else { return [] }
      let turn = seen[own] % near.count
      return near[turn...] + near[..<turn] + far
    }
  }

  package var numaCount: Int { sockets * numaPerSocket }
  /// The NUMA node of a local rank: ranks are divided over the nodes in contiguous shares.
  package func numa(of local: Int) -> Int { local * numaCount / ranks }
  package func socket(ofNUMA numa: Int) -> Int { numa / numaPerSocket }

  // MARK: Links

  private var meshCount: Int { numaPerSocket > 1 ? sockets : 0 }
  /// Directed links inside such a host.
  package var linkCount: Int { numaCount + meshCount + sockets * (sockets - 1) }

  package func figures(of link: Int) -> LinkFigures {
    link < numaCount ? memory : link < numaCount + meshCount ? mesh : interconnect
  }

  /// What a link connects, for people.
  package func ends(of link: Int) -> (from: String, to: String) {
    if link < numaCount { return ("numa \(link)", "memory of numa \(link)") }
    if link < numaCount + meshCount { return ("socket \(link - numaCount)", "mesh of socket \(link - numaCount)") }
    let (from, other) = (link - numaCount - meshCount).quotientAndRemainder(dividingBy: sockets - 1)
    return ("socket \(from)", "socket \(other < from ? other : other + 1)")
  }

  /// The links between two NUMA nodes, the memory of both left out.
  package func appendCrossing(from: Int, to: Int, base: Int, links: inout [Int]) {
    guard from != to else { return }
    let (source, target) = (socket(ofNUMA: from), socket(ofNUMA: to))
    if source == target {
      links.append(base + numaCount + source)
    } else {
      links.append(base + numaCount + meshCount + source * (sockets - 1) + (target < source ? target : target - 1))
    }
  }
}
