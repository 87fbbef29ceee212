/// Groups of routers that all have a link to each other, and the same number of links between any two groups.
///
/// Each router has `globalLinks` ports to other groups. The global ports of a group are numbered from 0 over all its
/// routers: of g groups, port n leads to the group `n mod (g - 1) + 1` places further on. Each pair of groups gets the
/// same number of links; ports left over are unused. Routes are minimal: at most one local link, one global link, one
/// local link.
///
/// - SeeAlso: Kim, Dally, Scott, Abts, "Technology-driven, highly-scalable dragonfly topology", ISCA 2008.
package struct Dragonfly: Fabric {
  package let groups: Int
  package let routers: Int
  package let hostsPerRouter: Int
  /// Ports of each router to other groups.
  package let globalLinks: Int
  /// Interfaces of a host in the fabric.
  package let slots: Int
  package let bandwidth: Bandwidth?
  package let localBandwidth: Bandwidth
  package let globalBandwidth: Bandwidth
  package let globalLatency: Latency
  package let latencies: HopLatencies

  package var type: String { "dragonfly" }
  package var hostCount: Int { groups * routers * hostsPerRouter }
  package var portCount: Int { hostCount * slots }
  package var switchCount: Int { groups * routers }
  private var localCount: Int { groups * routers * (routers - 1) }
  /// Links between any two groups, in one direction.
  package var linksPerPair: Int { groups > 1 ? routers * globalLinks / (groups - 1) : 0 }
  package var linkCount: Int { localCount + groups * (groups - 1) * linksPerPair }

  private func router(of port: Int) -> Int { port / slots / hostsPerRouter }
  private func name(_ router: Int) -> String { "router \(router % routers) of group \(router / routers)" }

  private func localLink(group: Int, from: Int, to: Int) -> Int {
    (group * routers + from) * (routers - 1) + (to < from ? to : to - 1)
  }

  /// The router at the near end of the c-th link to the group so much further on.
  private func gateway(offset: Int, copy: Int) -> Int { (copy * (groups - 1) + offset - 1) / globalLinks }

  private func globalLink(group: Int, offset: Int, copy: Int) -> Int {
    localCount + (group * (groups - 1) + offset - 1) * linksPerPair + copy
  }

  package func figures(of link: Int) -> LinkFigures {
    link < localCount
      ? LinkFigures(bandwidth: localBandwidth, latency: latencies.hop)
      : LinkFigures(bandwidth: globalBandwidth, latency: globalLatency + latencies.switch)
  }

  package func ends(of link: Int) -> (from: String, to: String) {
    if link < localCount {
      let (router, other) = link.quotientAndRemainder(dividingBy: routers - 1)
      let target = other < router % routers ? other : other + 1
      return (name(router), name(router / routers * routers + target))
    }
    let (pair, copy) = (link - localCount).quotientAndRemainder(dividingBy: linksPerPair)
    let (group, offset) = (pair / (groups - 1), pair % (groups - 1) + 1)
    let other = (group + offset) % groups
    return (
      name(group * routers + gateway(offset: offset, copy: copy)),
      name(other * routers + gateway(offset: groups - offset, copy: copy))
    )
  }

  package func access(_ port: Int) -> FabricAccess {
    latencies.access(bandwidth: bandwidth, name: name(router(of: port)))
  }

  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    appendRoute(fromRouter: router(of: from), toRouter: router(of: to), flow: flow, base: base, links: &links)
  }

  private func appendRoute(fromRouter: Int, toRouter: Int, flow: UInt64, base: Int, links: inout [Int]) {
    let (sourceGroup, targetGroup) = (fromRouter / routers, toRouter / routers)
    func appendLocal(_ group: Int, _ from: Int, _ to: Int) {
      if from != to { links.append(base + localLink(group: group, from: from, to: to)) }
    }
    if sourceGroup == targetGroup { return appendLocal(sourceGroup, fromRouter % routers, toRouter % routers) }
    let offset = (targetGroup - sourceGroup + groups) % groups
    let copy = FlowHash.choose(flow, stage: 1, of: linksPerPair)
    appendLocal(sourceGroup, fromRouter % routers, gateway(offset: offset, copy: copy))
    links.append(base + globalLink(group: sourceGroup, offset: offset, copy: copy))
    appendLocal(targetGroup, gateway(offset: groups - offset, copy: copy), toRouter % routers)
  }

  /// The region's router is at router 0 of group 0.
  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {
    let router = router(of: port)
    appendRoute(fromRouter: inward ? 0 : router, toRouter: inward ? router : 0, flow: flow, base: base, links: &links)
  }

  package var levels: [String] { ["group", "router"] }
  package func group(of port: Int, at level: Int) -> Int { level == 0 ? router(of: port) / routers : router(of: port) }
  package func exit(at level: Int) -> Bandwidth? {
    if level == 0 { return (groups - 1) * linksPerPair * globalBandwidth }
    // The last routers of a group may have ports that lead nowhere.
    let unused = routers * globalLinks - (groups - 1) * linksPerPair
    return (routers - 1) * localBandwidth + max(0, globalLinks - unused) * globalBandwidth
  }

  package var summary: String {
    "\(groups) groups of \(routers) routers, links of \(localBandwidth) inside, \(linksPerPair) of \(globalBandwidth) between each two"
  }

  package func hash(into hash: inout ContentHash) {
    for number in [
      groups, routers, hostsPerRouter, globalLinks, slots, bandwidth?.bitsPerSecond ?? 0, localBandwidth.bitsPerSecond,
      globalBandwidth.bitsPerSecond, globalLatency.picoseconds,
    ] { hash.combine(number) }
    hash.combine(latencies)
  }
}
