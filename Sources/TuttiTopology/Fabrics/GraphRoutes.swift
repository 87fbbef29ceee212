// Shortest ways through an arbitrary graph, found when they are asked for. Every cable is two arcs, one in each direction.

/// Where arcs lead, and which of them lie on a shortest way.
package struct GraphRoutes: Sendable {
  package struct Arc: Hashable, Sendable {
    package let from: Int
    package let to: Int
    package let figures: LinkFigures
    /// The latency; a picosecond at least, so that every step comes nearer.
    fileprivate var cost: Int { max(1, figures.latency.picoseconds) }
  }

  package let vertexCount: Int
  /// Arc 2n and 2n + 1 are the two directions of cable n.
  package let arcs: [Arc]
  /// By vertex: the arcs that leave it.
  private let outgoing: [[Int32]]
  /// By vertex: the lowest vertex that it can reach.
  package let components: [Int]
  /// By target and vertex, for graphs small enough to hold it: how far the target is.
  private let distances: [[Int]]

  /// Above this many vertices times arcs, distances are found for each route.
  private static let workMax = 1 << 18

  /// - Parameter cables: Between vertices below `vertexCount`; any number of them between the same two.
  package init(vertexCount: Int, cables: [(a: Int, b: Int, figures: LinkFigures)]) {
    self.vertexCount = vertexCount
    var arcs: [Arc] = []
    var outgoing = [[Int32]](repeating: [], count: vertexCount)
    for cable in cables {
      for (from, to) in [(cable.a, cable.b), (cable.b, cable.a)] {
        outgoing[from].append(Int32(arcs.count))
        arcs.append(Arc(from: from, to: to, figures: cable.figures))
      }
    }
    self.arcs = arcs
    self.outgoing = outgoing
    components = GraphRoutes.components(vertexCount, arcs, outgoing)
    distances =
      vertexCount * arcs.count <= GraphRoutes.workMax
      ? (0..<vertexCount).map { GraphRoutes.distances(to: $0, vertexCount, arcs, outgoing) } : []
  }

  private static func components(_ vertexCount: Int, _ arcs: [Arc], _ outgoing: [[Int32]]) -> [Int] {
    var components = [Int](repeating: -1, count: vertexCount)
    for start in 0..<vertexCount where components[start] < 0 {
      components[start] = start
      var waiting = [start]
      while let vertex = waiting.popLast() {
        for arc in outgoing[vertex] where components[arcs[Int(arc)].to] < 0 {
          components[arcs[Int(arc)].to] = start
          waiting.append(arcs[Int(arc)].to)
        }
      }
    }
    return components
  }

  /// Dijkstra's algorithm from the target: both directions of a cable take equally long.
  private static func distances(to target: Int, _ vertexCount: Int, _ arcs: [Arc], _ outgoing: [[Int32]]) -> [Int] {
    var distances = [Int](repeating: .max, count: vertexCount)
    var queue = DistanceQueue()
    distances[target] = 0
    queue.insert(distance: 0, vertex: target)
    while let (distance, vertex) = queue.removeNearest() {
      guard distance == distances[vertex] else { continue }
      for arc in outgoing[vertex] {
        let (arc, (further, overflows)) = (
          arcs[Int(arc)], distance.addingReportingOverflow(arcs[Int(arc)].cost)
        )
        guard !overflows, further < distances[arc.to] else { continue }
        distances[arc.to] = further
        queue.insert(distance: further, vertex: arc.to)
      }
    }
    return distances
  }

  /// Appends the arcs of a shortest way, by latency; `flow` chooses among equally long ones. Nothing where there is none.
  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {
    guard from != to, components[from] == components[to] else { return }
    let distances =
      self.distances.isEmpty ? GraphRoutes.distances(to: to, vertexCount, arcs, outgoing) : self.distances[to]
    var vertex = from
    var stage: UInt64 = 0
    while vertex != to {
      let nearer = outgoing[vertex].filter { arc in
        let arc = arcs[Int(arc)]
        return distances[arc.to] < distances[vertex] && distances[arc.to] + arc.cost == distances[vertex]
      }
      // Only where distances overflowed.
      guard !nearer.isEmpty else { return }
      let arc = Int(nearer[FlowHash.choose(flow, stage: stage, of: nearer.count)])
      links.append(base + arc)
      vertex = arcs[arc].to
      stage += 1
    }
  }
}

/// A binary heap of vertices by distance.
private struct DistanceQueue {
  private var entries: [(distance: Int, vertex: Int)] = []

  mutating func insert(distance: Int, vertex: Int) {
    entries.append((distance, vertex))
    var child = entries.count - 1
    while child > 0, entries[child].distance < entries[(child - 1) / 2].distance {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeNearest() -> (distance: Int, vertex: Int)? {
    guard let nearest = entries.first, let last = entries.popLast() else { return nil }
    if entries.isEmpty { return nearest }
    entries[0] = last
    var parent = 0
    while true {
      let children = (2 * parent + 1..<2 * parent + 3).filter { $0 < entries.count }
      guard let child = children.min(by: { entries[$0].distance < entries[$1].distance }),
        entries[child].distance < entries[parent].distance
      else { return nearest }
      entries.swapAt(child, parent)
      parent = child
    }
  }
}
