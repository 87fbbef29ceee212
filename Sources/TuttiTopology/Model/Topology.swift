// A described cluster: who is where, what connects them, and where every link's number comes from.
//
// Invariant: numbers of links are contiguous. Each run of hosts, each network's cables, each network's fabric and the wide
// area own a range, in that order, region by region.

/// Hosts, the ranks on them, and the networks between them.
///
/// What is regular is not kept but computed: a fabric of any size takes the same memory. For each rank, two numbers are
/// kept. Routes are computed when they are asked for, and are the same on all ranks.
package struct Topology: Sendable {
  package let name: String
  /// Where its figures come from, for people; not part of ``hash``.
  package let source: String
  package let regions: [Region]
  /// Between regions; nil where there is one region.
  package let wideArea: WideArea?
  /// All hosts in order, in runs of equal ones.
  package let runs: [HostRun]
  package let hostCount: Int
  package let placement: RankPlacement
  /// Directed links, those that no route uses included.
  package let linkCount: Int

  /// What a file may describe at most.
  package static let hostsMax = 65_536, ranksMax = 1 << 20, regionsMax = 256, networksMax = 64

  /// - Parameters:
  ///   - regions: At least one, with ``hostsMax`` hosts and ``ranksMax`` ranks at most.
  ///   - order: How ranks are numbered.
  package init(name: String, source: String, regions: [Region], wideArea: WideArea?, order: RankPlacement.Order) {
    self.name = name
    self.source = source
    var (regions, wideArea) = (regions, wideArea)
    var (host, link) = (0, 0)
    func take(_ count: Int) -> Int {
      defer { link += count }
      return link
    }
    for region in regions.indices {
      for run in regions[region].runs.indices {
        regions[region].runs[run].region = region
        regions[region].runs[run].firstHost = host
        host += regions[region].runs[run].count
        regions[region].runs[run].firstLink = take(
          regions[region].runs[run].count * regions[region].runs[run].kind.linkCount)
      }
      for network in regions[region].networks.indices {
        regions[region].networks[network].firstAccess = take(regions[region].networks[network].accessCount)
        regions[region].networks[network].firstLink = take(regions[region].networks[network].linkCount)
      }
    }
    wideArea?.firstLink = link
    linkCount = link + (wideArea?.routes.arcs.count ?? 0)
    hostCount = host
    self.regions = regions
    self.wideArea = wideArea
    runs = regions.flatMap(\.runs)
    placement = RankPlacement(order: order, runs: runs)
  }

  package var rankCount: Int { placement.hosts.count }

  // MARK: Hosts

  /// The run that a host is in.
  package func run(of host: Int) -> HostRun {
    var (low, high) = (0, runs.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if runs[middle].firstHost <= host { low = middle } else { high = middle - 1 }
    }
    return runs[low]
  }

  /// Unique: with the name of its region before it where there are several.
  package func hostName(_ host: Int) -> String {
    let run = run(of: host)
    let name = run.names.name(host - run.firstHost)
    return regions.count > 1 ? "\(regions[run.region].name)/\(name)" : name
  }

  /// Where a rank is.
  package func location(of rank: Int) -> RankLocation {
    let host = Int(placement.hosts[rank])
    let run = run(of: host)
    let local = Int(placement.locals[rank])
    let numa = run.kind.numa(of: local)
    return RankLocation(
      region: run.region, host: host, local: local, numa: numa, socket: run.kind.socket(ofNUMA: numa), run: run)
  }

  // MARK: Hash

  /// 32 hexadecimal digits: equal for equal content, on all machines. Comments, the order of keys, units, defaults written
  /// out or not, and ``source`` make no difference; every name, figure and number does.
  package var hash: String {
    var hash = ContentHash()
    // To be raised when the same file has to get another hash.
    hash.combine("tutti topology 1")
    hash.combine(name)
    hash.combine(regions.count)
    for region in regions {
      hash.combine(region.name)
      hash.combine(region.networks.count)
      for network in region.networks {
        hash.combine(network.name)
        hash.combine(network.planes)
        hash.combine(network.slots)
        hash.combine(network.fabric.type)
        network.fabric.hash(into: &hash)
      }
      hash.combine(region.runs.count)
      for run in region.runs { run.hash(into: &hash) }
    }
    let arcs = wideArea?.routes.arcs ?? []
    hash.combine(arcs.count)
    for arc in arcs {
      hash.combine(arc.from)
      hash.combine(arc.to)
      hash.combine(arc.figures)
    }
    placement.hash(into: &hash)
    return hash.text
  }
}

extension HostRun {
  fileprivate func hash(into hash: inout ContentHash) {
    for number in [count, kind.sockets, kind.numaPerSocket, kind.ranks, kind.nics.count] { hash.combine(number) }
    for figures in [kind.memory, kind.mesh, kind.interconnect] { hash.combine(figures) }
    for nic in kind.nics {
      hash.combine(nic.name)
      hash.combine(nic.numa)
      hash.combine(nic.network)
      hash.combine(nic.figures)
    }
    // Names by name, so that a list and a pattern of the same names are equal.
    for index in 0..<count { hash.combine(names.name(index)) }
  }
}
