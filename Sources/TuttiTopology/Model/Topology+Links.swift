// What the number of a link stands for.

extension Topology {
  private enum Place {
    case host(HostRun, index: Int, link: Int)
    case access(Region, Network, plane: Int, port: Int, isUp: Bool)
    case fabric(Network, plane: Int, link: Int)
    case wideArea(GraphRoutes.Arc)
  }

  /// - Parameter link: In `0..<linkCount`.
  package func figures(of link: Int) -> LinkFigures {
    switch place(of: link) {
    case .host(let run, _, let link): return run.kind.figures(of: link)
    case .fabric(let network, _, let link): return network.fabric.figures(of: link)
    case .wideArea(let arc): return arc.figures
    case .access(let region, let network, let plane, let port, let isUp):
      let access = network.fabric.access(port)
      guard let (run, _, nic) = region.interface(at: port, plane: plane, of: network) else {
        return LinkFigures(
          bandwidth: access.bandwidth ?? Bandwidth(bitsPerSecond: 0), latency: isUp ? access.up : access.down)
      }
      let own = run.kind.nics[nic].figures
      return LinkFigures(
        bandwidth: min(own.bandwidth, access.bandwidth ?? own.bandwidth),
        latency: own.latency + (isUp ? access.up : access.down))
    }
  }

  /// A link with the names of its ends.
  ///
  /// - Parameter link: In `0..<linkCount`.
  package func link(_ link: Int) -> TopologyLink {
    let figures = figures(of: link)
    func make(_ kind: TopologyLink.Kind, _ from: String, _ to: String) -> TopologyLink {
      TopologyLink(kind: kind, from: from, to: to, figures: figures)
    }
    switch place(of: link) {
    case .host(let run, let index, let link):
      let ends = run.kind.ends(of: link)
      let host = hostName(run.firstHost + index)
      return make(.host, "\(host) \(ends.from)", "\(host) \(ends.to)")
    case .fabric(let network, let plane, let link):
      let ends = network.fabric.ends(of: link)
      return make(.fabric, network.switchName(ends.from, plane: plane), network.switchName(ends.to, plane: plane))
    case .wideArea(let arc): return make(.wideArea, regions[arc.from].name, regions[arc.to].name)
    case .access(let region, let network, let plane, let port, let isUp):
      let end = network.switchName(network.fabric.access(port).name, plane: plane)
      guard let (run, host, nic) = region.interface(at: port, plane: plane, of: network) else {
        return isUp ? make(.access, "nothing", end) : make(.access, end, "nothing")
      }
      let name = "\(hostName(host)) \(run.kind.nics[nic].name)"
      return isUp ? make(.access, name, end) : make(.access, end, name)
    }
  }

  private func place(of link: Int) -> Place {
    precondition((0..<linkCount).contains(link), "link \(link) of \(linkCount)")
    if let wideArea, link >= wideArea.firstLink { return .wideArea(wideArea.routes.arcs[link - wideArea.firstLink]) }
    // Runs are in the order of their links: the last that begins at or before it.
    var (low, high) = (0, runs.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if runs[middle].firstLink <= link { low = middle } else { high = middle - 1 }
    }
    let run = runs[low]
    let inRun = link - run.firstLink
    if inRun < run.count * run.kind.linkCount {
      return .host(run, index: inRun / run.kind.linkCount, link: inRun % run.kind.linkCount)
    }
    let region = regions[run.region]
    for network in region.networks {
      if link < network.firstAccess + network.accessCount {
        let (port, direction) = (link - network.firstAccess).quotientAndRemainder(dividingBy: 2)
        let (plane, inPlane) = port.quotientAndRemainder(dividingBy: network.fabric.portCount)
        return .access(region, network, plane: plane, port: inPlane, isUp: direction == 0)
      }
      if link < network.firstLink + network.linkCount {
        let (plane, inPlane) = (link - network.firstLink).quotientAndRemainder(dividingBy: network.fabric.linkCount)
        return .fabric(network, plane: plane, link: inPlane)
      }
    }
    preconditionFailure("link \(link) lies in no range")
  }
}

extension Region {
  /// The interface in a port; nil where the port is empty.
  func interface(at port: Int, plane: Int, of network: Network) -> (run: HostRun, host: Int, nic: Int)? {
    let (ordinal, slot) = port.quotientAndRemainder(dividingBy: network.slots)
    // The last run that begins at or before it.
    var (low, high) = (0, network.users.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if network.users[middle].ordinal <= ordinal { low = middle } else { high = middle - 1 }
    }
    let (first, run) = (network.users[low].ordinal, runs[network.users[low].run])
    let index = slot * network.planes + plane
    guard ordinal < first + run.count, case let nics = run.nics[network.index], nics.indices.contains(index) else {
      return nil
    }
    return (run, run.firstHost + ordinal - first, nics[index])
  }
}

extension Network {
  /// The name of a switch, with its plane where there are several.
  func switchName(_ name: String, plane: Int) -> String { planes > 1 ? "\(name) of plane \(plane)" : name }
}
