/// Three tiers: pods of edge and aggregation switches, and core switches above them.
///
/// Every edge switch of a pod is on every aggregation switch of it. The n-th aggregation switch of each pod is on the same
/// `cores` core switches. The k-ary fat tree has k pods, and k/2 of everything else.
///
/// - SeeAlso: Al-Fares, Loukissas, Vahdat, "A scalable, commodity data center network architecture", SIGCOMM 2008.
package struct FatTree: Fabric {
  package let pods: Int
  package let edgesPerPod: Int
  package let aggregationsPerPod: Int
  /// Core switches above each aggregation switch.
  package let cores: Int
  package let hostsPerEdge: Int
  /// Interfaces of a host in the fabric.
  package let slots: Int
  package let bandwidth: Bandwidth?
  package let uplinkBandwidth: Bandwidth
  package let coreBandwidth: Bandwidth
  package let latencies: HopLatencies

  package var type: String { "fat-tree" }
  package var hostCount: Int { pods * edgesPerPod * hostsPerEdge }
  package var portCount: Int { hostCount * slots }
  package var switchCount: Int { pods * (edgesPerPod + aggregationsPerPod) + aggregationsPerPod * cores }
  private var edgeLinkCount: Int { pods * edgesPerPod * aggregationsPerPod * 2 }
  package var linkCount: Int { edgeLinkCount + pods * aggregationsPerPod * cores * 2 }

  private func edge(of port: Int) -> Int { port / slots / hostsPerEdge }

  private func edgeLink(edge: Int, aggregation: Int, isDown: Bool) -> Int {
    (edge * aggregationsPerPod + aggregation) * 2 + (isDown ? 1 : 0)
  }

  private func coreLink(pod: Int, aggregation: Int, core: Int, isDown: Bool) -> Int {
    edgeLinkCount + ((pod * aggregationsPerPod + aggregation) * cores + core) * 2 + (isDown ? 1 : 0)
  }

  package func figures(of link: Int) -> LinkFigures {
    LinkFigures(bandwidth: link < edgeLinkCount ? uplinkBandwidth : coreBandwidth, latency: latencies.hop)
  }

  package func ends(of link: Int) -> (from: String, to: String) {
    let low: String
    let high: String
    if link < edgeLinkCount {
      let (edge, aggregation) = (link / 2).quotientAndRemainder(dividingBy: aggregationsPerPod)
      low = edgeName(edge)
      high = "aggregation \(aggregation) of pod \(edge / edgesPerPod)"
    } else {
      let (aggregation, core) = ((link - edgeLinkCount) / 2).quotientAndRemainder(dividingBy: cores)
      low = "aggregation \(aggregation % aggregationsPerPod) of pod \(aggregation / aggregationsPerPod)"
      high = "core \(aggregation % aggregationsPerPod * cores + core)"
    }
    return link % 2 == 0 ? (low, high) : (high, low)
  }

  private func edgeName(_ edge: Int) -> String { "edge \(edge % edgesPerPod) of pod \(edge / edgesPerPod)" }

  package func access(_ port: Int) -> FabricAccess {
    latencies.access(bandwidth: bandwidth, name: edgeName(edge(of: port)))
  }

  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    let (source, target) = (edge(of: from), edge(of: to))
    guard source != target else { return }
    let (sourcePod, targetPod) = (source / edgesPerPod, target / edgesPerPod)
    let aggregation = FlowHash.choose(flow, stage: 1, of: aggregationsPerPod)
    links.append(base + edgeLink(edge: source, aggregation: aggregation, isDown: false))
    if sourcePod != targetPod {
      let core = FlowHash.choose(flow, stage: 2, of: cores)
      links.append(base + coreLink(pod: sourcePod, aggregation: aggregation, core: core, isDown: false))
      links.append(base + coreLink(pod: targetPod, aggregation: aggregation, core: core, isDown: true))
    }
    links.append(base + edgeLink(edge: target, aggregation: aggregation, isDown: true))
  }

  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {
    let edge = edge(of: port)
    let aggregation = FlowHash.choose(flow, stage: 1, of: aggregationsPerPod)
    let core = FlowHash.choose(flow, stage: 2, of: cores)
    let way = [
      base + edgeLink(edge: edge, aggregation: aggregation, isDown: inward),
      base + coreLink(pod: edge / edgesPerPod, aggregation: aggregation, core: core, isDown: inward),
    ]
    links += inward ? way.reversed() : way
  }

  package var levels: [String] { ["pod", "edge"] }
  package func group(of port: Int, at level: Int) -> Int {
    level == 0 ? edge(of: port) / edgesPerPod : edge(of: port)
  }
  package func exit(at level: Int) -> Bandwidth? {
    level == 0 ? aggregationsPerPod * cores * coreBandwidth : aggregationsPerPod * uplinkBandwidth
  }

  package var summary: String {
    "\(pods) pods of \(edgesPerPod) edge and \(aggregationsPerPod) aggregation switches, \(aggregationsPerPod * cores) cores, "
      + "links of \(uplinkBandwidth) and \(coreBandwidth)"
  }

  package func hash(into hash: inout ContentHash) {
    for number in [
      pods, edgesPerPod, aggregationsPerPod, cores, hostsPerEdge, slots, bandwidth?.bitsPerSecond ?? 0,
      uplinkBandwidth.bitsPerSecond, coreBandwidth.bitsPerSecond,
    ] { hash.combine(number) }
    hash.combine(latencies)
  }
}
