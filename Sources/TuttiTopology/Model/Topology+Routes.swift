// The way from one rank to another, and what its links are.

/// The directed links that a message passes, in order.
package struct RankPath: Hashable, Sendable {
  /// Numbers in `0..<linkCount`: two paths that have one in common share its bandwidth.
  package let links: [Int]
  /// The sum over the links: when the first bit arrives.
  package let latency: Latency
  /// What the slowest link carries, if nobody else uses it; nil for a path without links, from a rank to itself.
  package let bandwidth: Bandwidth?
}

/// A directed link, with words for people.
package struct TopologyLink: Hashable, Sendable {
  package enum Kind: String, Sendable {
    /// Inside a host.
    case host
    /// Between an interface and what its cable leads to.
    case access
    /// Between switches.
    case fabric
    /// Between regions.
    case wideArea = "wan"
  }

  package let kind: Kind
  package let from: String
  package let to: String
  package let figures: LinkFigures
}

extension Topology {
  /// The links between two ranks.
  ///
  /// A message leaves through the interface nearest to the sender. In a network with rails it arrives at the interface with
  /// the same number, and crosses the receiving host; in others it arrives at the interface nearest to the receiver.
  ///
  /// - Parameters:
  ///   - from: The sender, a rank.
  ///   - to: The receiver, a rank.
  ///   - flow: Which of several ways: 0 takes the sender's nearest interface, 1 its next one, and so on; each takes its own
  ///     among equally long ways through the network.
  /// - Complexity: The number of links. In a `graph` too large for a table, a search of the graph.
  package func path(from: Int, to: Int, flow: Int = 0) -> RankPath {
    var links: [Int] = []
    appendPath(from: from, to: to, flow: flow, links: &links)
    var latency = Latency.zero
    var bandwidth: Bandwidth?
    for link in links {
      let figures = figures(of: link)
      latency = latency + figures.latency
      bandwidth = min(bandwidth ?? figures.bandwidth, figures.bandwidth)
    }
    return RankPath(links: links, latency: latency, bandwidth: bandwidth)
  }

  /// How many of these pairs of ranks, each sending at the same time, use each link that any of them uses.
  package func loads(of pairs: some Sequence<(from: Int, to: Int)>, flow: Int = 0) -> [Int: Int] {
    var loads: [Int: Int] = [:]
    var links: [Int] = []
    for pair in pairs {
      links.removeAll(keepingCapacity: true)
      appendPath(from: pair.from, to: pair.to, flow: flow, links: &links)
      for link in links { loads[link, default: 0] += 1 }
    }
    return loads
  }

  private func appendPath(from: Int, to: Int, flow: Int, links: inout [Int]) {
    guard from != to else { return }
    let (source, target) = (location(of: from), location(of: to))
    let sourceBase = source.run.firstLink + (source.host - source.run.firstHost) * source.run.kind.linkCount
    let targetBase = target.run.firstLink + (target.host - target.run.firstHost) * target.run.kind.linkCount
    links.append(sourceBase + source.numa)
    if source.host == target.host {
      source.run.kind.appendCrossing(from: source.numa, to: target.numa, base: sourceBase, links: &links)
    } else if let pair = interfaces(from: source, to: target, flow: flow) {
      let (near, far) = (source.run.kind.nics[pair.near.nic], target.run.kind.nics[pair.far.nic])
      source.run.kind.appendCrossing(from: source.numa, to: near.numa, base: sourceBase, links: &links)
      let key = FlowHash.mixed(UInt64(from) << 32 | UInt64(to)) &+ UInt64(truncatingIfNeeded: flow)
      appendNetwork(pair, source: source, target: target, key: key, links: &links)
      target.run.kind.appendCrossing(from: far.numa, to: target.numa, base: targetBase, links: &links)
    }
    if targetBase + target.numa != sourceBase + source.numa { links.append(targetBase + target.numa) }
  }

  /// An interface of a rank's host, and where it is plugged in.
  private struct Interface {
    let nic: Int
    let network: Int
    let plane: Int
    let port: Int
    let segment: Int?
  }

  private func interface(_ nic: Int, of location: RankLocation) -> Interface? {
    let network = location.run.kind.nics[nic].network
    guard let first = location.run.ordinals[network], let index = location.run.nics[network].firstIndex(of: nic)
    else { return nil }
    let description = regions[location.region].networks[network]
    let (plane, port) = description.port(ordinal: first + location.host - location.run.firstHost, index: index)
    return Interface(
      nic: nic, network: network, plane: plane, port: port, segment: description.segment(plane: plane, port: port))
  }

  /// Which interfaces a message leaves and arrives by.
  private func interfaces(from source: RankLocation, to target: RankLocation, flow: Int) -> (
    near: Interface, far: Interface
  )? {
    let own = source.nics
    guard !own.isEmpty else { return nil }
    let others = (target.nics + target.run.kind.slower).compactMap { interface($0, of: target) }.filter { $0.segment != nil }
    let start = (flow % own.count + own.count) % own.count
    for nic in own[start...] + own[..<start] + source.run.kind.slower {
      guard let near = interface(nic, of: source), let segment = near.segment else { continue }
      if source.region != target.region {
        guard let far = others.first else { continue }
        return (near, far)
      }
      let reachable = others.filter { $0.network == near.network && $0.segment == segment }
      guard let nearest = reachable.first else { continue }
      let network = regions[source.region].networks[near.network]
      let index = source.run.nics[near.network].firstIndex(of: nic)
      let sameRail = reachable.first { target.run.nics[near.network].firstIndex(of: $0.nic) == index }
      return (near, network.hasRails ? sameRail ?? nearest : nearest)
    }
    return nil
  }

  private func appendNetwork(
    _ pair: (near: Interface, far: Interface), source: RankLocation, target: RankLocation, key: UInt64, links: inout [Int]
  ) {
    let near = regions[source.region].networks[pair.near.network]
    let far = regions[target.region].networks[pair.far.network]
    links.append(near.accessLink(plane: pair.near.plane, port: pair.near.port, isUp: true))
    let nearBase = near.base(plane: pair.near.plane)
    if source.region == target.region {
      near.fabric.appendRoute(from: pair.near.port, to: pair.far.port, flow: key, base: nearBase, links: &links)
    } else if let wideArea {
      let farBase = far.base(plane: pair.far.plane)
      near.fabric.appendGateway(of: pair.near.port, inward: false, flow: key, base: nearBase, links: &links)
      wideArea.routes.appendRoute(
        from: source.region, to: target.region, flow: key, base: wideArea.firstLink, links: &links)
      far.fabric.appendGateway(of: pair.far.port, inward: true, flow: key, base: farBase, links: &links)
    }
    links.append(far.accessLink(plane: pair.far.plane, port: pair.far.port, isUp: false))
  }
}

extension Network {
  /// Whether the n-th interfaces of all hosts are nearer to each other than to others.
  var hasRails: Bool { planes > 1 || ((fabric as? LeafSpine)?.rails ?? 1) > 1 }
}
