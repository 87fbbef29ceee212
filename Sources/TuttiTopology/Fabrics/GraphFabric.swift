/// Any switches with any cables between them, and hosts on any of them: what no generator makes.
///
/// A cable from host to host is one too: it ends at a vertex of its own, which takes no time.
package struct GraphFabric: Fabric {
  /// Where an interface is plugged in.
  package struct Attachment: Sendable {
    package var vertex: Int
    package var bandwidth: Bandwidth?
    package var up: Latency, down: Latency
  }

  /// By vertex: the name of a switch, or of a cable between two hosts.
  package let names: [String]
  /// How many of the vertices are switches; they come first.
  package let switchCount: Int
  /// By port; nil where nothing is plugged in.
  package let attachments: [Attachment?]
  package let routes: GraphRoutes
  /// Where the region's router is.
  package let gateway: Int?

  package var type: String { "graph" }
  package var portCount: Int { attachments.count }
  package var linkCount: Int { routes.arcs.count }
  package func figures(of link: Int) -> LinkFigures { routes.arcs[link].figures }
  package func ends(of link: Int) -> (from: String, to: String) {
    (names[routes.arcs[link].from], names[routes.arcs[link].to])
  }

  package func access(_ port: Int) -> FabricAccess {
    guard let place = attachments[port] else { return FabricAccess(bandwidth: nil, up: .zero, down: .zero, name: "nothing") }
    return FabricAccess(bandwidth: place.bandwidth, up: place.up, down: place.down, name: names[place.vertex])
  }

  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    guard let source = attachments[from]?.vertex, let target = attachments[to]?.vertex else { return }
    routes.appendRoute(from: source, to: target, flow: flow, base: base, links: &links)
  }

  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {
    guard let vertex = attachments[port]?.vertex, let gateway else { return }
    routes.appendRoute(from: inward ? gateway : vertex, to: inward ? vertex : gateway, flow: flow, base: base, links: &links)
  }

  package func segment(of port: Int) -> Int? { attachments[port].map { routes.components[$0.vertex] } }

  /// Hosts on one switch, by their first interface, are near each other. One that is on a cable to another host is alone.
  package var levels: [String] { ["switch"] }
  package func group(of port: Int, at level: Int) -> Int {
    guard let vertex = attachments[port]?.vertex, vertex < switchCount else { return names.count + port }
    return vertex
  }
  package func exit(at level: Int) -> Bandwidth? {
    let used = Set(attachments.compactMap { $0?.vertex }.filter { $0 < switchCount })
    var exits: [Int: Bandwidth] = [:]
    for arc in routes.arcs where used.contains(arc.from) {
      exits[arc.from] = (exits[arc.from] ?? Bandwidth(bitsPerSecond: 0)) + arc.figures.bandwidth
    }
    return exits.values.min()
  }

  package var summary: String {
    let switches = switchCount == 0 ? "no switch" : switchCount == 1 ? "1 switch" : "\(switchCount) switches"
    let cables = attachments.count { $0 != nil } + linkCount / 2 - (names.count - switchCount)
    return "\(switches), \(cables) cable\(cables == 1 ? "" : "s")"
  }

  package func hash(into hash: inout ContentHash) {
    hash.combine(switchCount)
    for name in names { hash.combine(name) }
    for place in attachments {
      hash.combine(place?.vertex ?? -1)
      hash.combine(place?.bandwidth?.bitsPerSecond ?? 0)
      hash.combine(place?.up.picoseconds ?? 0)
      hash.combine(place?.down.picoseconds ?? 0)
    }
    hash.combine(routes.arcs.count)
    for arc in routes.arcs {
      hash.combine(arc.from)
      hash.combine(arc.to)
      hash.combine(arc.figures)
    }
    hash.combine(gateway ?? -1)
  }
}
