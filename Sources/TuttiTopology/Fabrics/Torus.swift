/// Nodes on a grid of any number of dimensions, each with a link to both neighbours in each dimension; a mesh where the
/// ends are not joined.
///
/// Node 0 has coordinates 0, 0, ...; the first dimension changes fastest. Routes go dimension by dimension, the shorter way
/// round.
///
/// - SeeAlso: Dally & Towles, "Principles and practices of interconnection networks", 2004, chapters 5 and 8.
package struct Torus: Fabric {
  package let dimensions: [Int]
  /// Whether the ends of each dimension are joined.
  package let wraps: Bool
  /// Interfaces of a host in the fabric, all at its own node.
  package let slots: Int
  package let bandwidth: Bandwidth?
  /// What a link between neighbours carries, in each direction.
  package let linkBandwidth: Bandwidth
  package let latencies: HopLatencies

  package var type: String { "torus" }
  package var nodeCount: Int { dimensions.reduce(1, *) }
  package var portCount: Int { nodeCount * slots }
  package var switchCount: Int { nodeCount }
  /// Two from each node for each dimension: to the next node, to the one before. Those over the end of a mesh have numbers,
  /// and no route has them.
  package var linkCount: Int { nodeCount * dimensions.count * 2 }

  /// Where a node is.
  package func coordinates(of node: Int) -> [Int] {
    var rest = node
    return dimensions.map { size in
      defer { rest /= size }
      return rest % size
    }
  }

  private func name(_ node: Int) -> String { "node \(coordinates(of: node).map(String.init).joined(separator: ","))" }

  package func figures(of link: Int) -> LinkFigures {
    LinkFigures(bandwidth: linkBandwidth, latency: latencies.hop)
  }

  package func ends(of link: Int) -> (from: String, to: String) {
    let (node, direction) = link.quotientAndRemainder(dividingBy: dimensions.count * 2)
    return (name(node), name(neighbour(of: node, dimension: direction / 2, isForward: direction % 2 == 0)))
  }

  private func neighbour(of node: Int, dimension: Int, isForward: Bool) -> Int {
    let step = dimensions[..<dimension].reduce(1, *)
    let (size, place) = (dimensions[dimension], node / step % dimensions[dimension])
    return node + ((place + (isForward ? 1 : size - 1)) % size - place) * step
  }

  package func access(_ port: Int) -> FabricAccess {
    latencies.access(bandwidth: bandwidth, name: name(port / slots))
  }

  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    appendRoute(fromNode: from / slots, toNode: to / slots, flow: flow, base: base, links: &links)
  }

  private func appendRoute(fromNode: Int, toNode: Int, flow: UInt64, base: Int, links: inout [Int]) {
    var node = fromNode
    var step = 1
    for (dimension, size) in dimensions.enumerated() {
      let (place, target) = (node / step % size, toNode / step % size)
      let forward = (target - place + size) % size
      // Both ways round are equally long between opposite nodes.
      let isForward =
        !wraps
        ? target > place
        : forward * 2 == size ? FlowHash.choose(flow, stage: UInt64(dimension), of: 2) == 0 : forward * 2 < size
      let hops = isForward ? (wraps ? forward : target - place) : (wraps ? (size - forward) % size : place - target)
      for _ in 0..<hops {
        links.append(base + (node * dimensions.count + dimension) * 2 + (isForward ? 0 : 1))
        node = neighbour(of: node, dimension: dimension, isForward: isForward)
      }
      step *= size
    }
  }

  /// The region's router is at node 0.
  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {
    let node = port / slots
    appendRoute(fromNode: inward ? 0 : node, toNode: inward ? node : 0, flow: flow, base: base, links: &links)
  }

  package var summary: String {
    "\(dimensions.map(String.init).joined(separator: " x ")) \(wraps ? "torus" : "mesh"), links of \(linkBandwidth)"
  }

  package func hash(into hash: inout ContentHash) {
    hash.combine(dimensions.count)
    for number in dimensions { hash.combine(number) }
    for number in [wraps ? 1 : 0, slots, bandwidth?.bitsPerSecond ?? 0, linkBandwidth.bitsPerSecond] { hash.combine(number) }
    hash.combine(latencies)
  }
}
