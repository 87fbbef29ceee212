/// Two tiers: hosts on leaves, every leaf on every spine.
///
/// Rail-optimised where `rails` is above 1: hosts come in units, a unit has a leaf for each rail, and the n-th interface of
/// each host is on the leaf of rail n. Ranks with the same number in their hosts are then one switch apart. Spines are
/// shared by all rails, or each rail has its own, and there is no way from one rail to another but inside of a host.
///
/// - SeeAlso: NVIDIA, DGX SuperPOD reference architecture, "Compute fabric".
package struct LeafSpine: Fabric {
  package let units: Int
  package let hostsPerUnit: Int
  /// Interfaces of a host in the fabric.
  package let slots: Int
  package let rails: Int
  /// Links of a leaf to spines: a multiple of the spines it reaches, which it reaches in turn.
  package let uplinks: Int
  /// Spines that a leaf reaches.
  package let spines: Int
  package let separatesRails: Bool
  package let bandwidth: Bandwidth?
  package let uplinkBandwidth: Bandwidth
  package let latencies: HopLatencies

  package var type: String { "leaf-spine" }
  package var leafCount: Int { units * rails }
  package var spineCount: Int { separatesRails ? spines * rails : spines }
  package var portCount: Int { units * hostsPerUnit * slots }
  package var switchCount: Int { leafCount + spineCount }
  package var linkCount: Int { leafCount * uplinks * 2 }

  private func rail(of port: Int) -> Int { port % slots % rails }
  private func leaf(of port: Int) -> Int { port / slots / hostsPerUnit * rails + rail(of: port) }
  private func link(leaf: Int, uplink: Int, isDown: Bool) -> Int { (leaf * uplinks + uplink) * 2 + (isDown ? 1 : 0) }

  package func leafName(_ leaf: Int) -> String {
    rails == 1 ? "leaf \(leaf)" : "leaf \(leaf / rails) of rail \(leaf % rails)"
  }

  package func figures(of link: Int) -> LinkFigures {
    LinkFigures(bandwidth: uplinkBandwidth, latency: latencies.hop)
  }

  package func ends(of link: Int) -> (from: String, to: String) {
    let (leaf, uplink) = (link / 2).quotientAndRemainder(dividingBy: uplinks)
    let spine = separatesRails ? "spine \(uplink % spines) of rail \(leaf % rails)" : "spine \(uplink % spines)"
    return link % 2 == 0 ? (leafName(leaf), spine) : (spine, leafName(leaf))
  }

  package func access(_ port: Int) -> FabricAccess {
    latencies.access(bandwidth: bandwidth, name: leafName(leaf(of: port)))
  }

  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    let (source, target) = (leaf(of: from), leaf(of: to))
    guard source != target else { return }
    let spine = FlowHash.choose(flow, stage: 1, of: spines)
    // A leaf has several links to a spine where it has more links than spines.
    let parallel = uplinks / spines
    let (up, down) = (FlowHash.choose(flow, stage: 2, of: parallel), FlowHash.choose(flow, stage: 3, of: parallel))
    links.append(base + link(leaf: source, uplink: up * spines + spine, isDown: false))
    links.append(base + link(leaf: target, uplink: down * spines + spine, isDown: true))
  }

  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {
    let uplink = FlowHash.choose(flow, stage: inward ? 3 : 2, of: uplinks)
    links.append(base + link(leaf: leaf(of: port), uplink: uplink, isDown: inward))
  }

  package func segment(of port: Int) -> Int? { separatesRails ? rail(of: port) : 0 }

  package var levels: [String] { ["leaf"] }
  package func group(of port: Int, at level: Int) -> Int { port / slots / hostsPerUnit }
  package func exit(at level: Int) -> Bandwidth? { rails * uplinks * uplinkBandwidth }

  package var summary: String {
    let leaves = rails == 1 ? "\(units) leaves" : "\(units) x \(rails) leaves (\(rails) rails)"
    let spines = separatesRails ? "\(rails) x \(self.spines) spines" : "\(self.spines) spines"
    return "\(leaves), \(spines), \(uplinks) uplinks a leaf of \(uplinkBandwidth)"
  }

  package func hash(into hash: inout ContentHash) {
    for number in [
      units, hostsPerUnit, slots, rails, uplinks, spines, separatesRails ? 1 : 0, bandwidth?.bitsPerSecond ?? 0,
      uplinkBandwidth.bitsPerSecond,
    ] { hash.combine(number) }
    hash.combine(latencies)
  }
}
