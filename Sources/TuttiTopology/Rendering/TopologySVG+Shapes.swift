// Networks without tiers: grids, circles, and graphs of any shape.

extension TopologyDrawing {
  /// Up to three dimensions, in parallel projection; of longer ones, the first eight places.
  mutating func addTorus(_ fabric: Torus) {
    let sizes = (0..<3).map { $0 < fabric.dimensions.count ? min(fabric.dimensions[$0], 8) : 1 }
    let isDeep = sizes[2] > 1
    let (step, depthX) = isDeep ? (36.0, 92.0) : (60.0, 0.0)
    let slice = Double(sizes[0] - 1) * 9 + 22
    let width = isDeep ? Double(sizes[2]) * max(depthX, slice) : Double(sizes[0]) * step
    let left = (TopologyDrawing.width - width) / 2 + 20
    func place(_ x: Int, _ y: Int, _ z: Int) -> Drawing.Point {
      isDeep
        ? .init(
          x: left + Double(z) * max(depthX, slice) + Double(x) * 9,
          y: top + 30 + Double(y) * step * 0.8 + Double(x) * 5)
        : .init(x: left + Double(x) * step, y: top + 20 + Double(y) * step)
    }
    let axes = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    for z in 0..<sizes[2] {
      for y in 0..<sizes[1] {
        for x in 0..<sizes[0] {
          for (axis, move) in axes.enumerated() {
            let next = (x + move.0, y + move.1, z + move.2)
            guard next.0 < sizes[0], next.1 < sizes[1], next.2 < sizes[2] else { continue }
            drawing.line(
              place(x, y, z), place(next.0, next.1, next.2), Drawing.colour(axis), width: 1.3,
              opacity: axis == 2 ? 0.35 : 0.8)
          }
        }
      }
    }
    for z in 0..<sizes[2] {
      for y in 0..<sizes[1] {
        for x in 0..<sizes[0] { drawing.dot(place(x, y, z), isDeep ? 3.4 : 7, fill: Drawing.ink) }
      }
    }
    let ends = fabric.wraps ? "the last node of each row is joined to the first" : "the ends are open"
    let names = ["first", "second", "third"].prefix(fabric.dimensions.count).enumerated().map {
      "\($0.element): \(fabric.dimensions[$0.offset])"
    }
    let more = fabric.dimensions.count > 3 ? ", and so on for \(fabric.dimensions.count - 3) more dimensions" : ""
    drawing.label(
      .init(x: TopologyDrawing.width / 2, y: drawing.bottom + 26),
      "\(names.joined(separator: ", "))\(more); a colour is a dimension; \(ends)",
      size: 11, colour: Drawing.faint)
  }

  /// The groups on a circle, and one of them beside it.
  mutating func addDragonfly(_ fabric: Dragonfly) {
    let groups = min(fabric.groups, 40), routers = min(fabric.routers, 32)
    let (all, one) = (Drawing.Point(x: 300, y: top + 200), Drawing.Point(x: 790, y: top + 200))
    func group(_ index: Int) -> Drawing.Point {
      let (x, y) = Circle.point(index, of: groups)
      return .init(x: all.x + x * 175, y: all.y + y * 175)
    }
    func router(_ index: Int, _ radius: Double) -> Drawing.Point {
      let (x, y) = Circle.point(index, of: routers)
      return .init(x: one.x + x * radius, y: one.y + y * radius)
    }
    for from in 0..<groups {
      for to in from + 1..<max(groups, from + 1) {
        drawing.line(group(from), group(to), Drawing.palette[1], width: 0.8, opacity: 0.45)
      }
    }
    for index in 0..<groups {
      drawing.dot(group(index), 14, fill: "white", stroke: Drawing.ink)
      drawing.label(.init(x: group(index).x, y: group(index).y + 4), "\(index)", size: 10)
    }
    for from in 0..<routers {
      for to in from + 1..<max(routers, from + 1) {
        drawing.line(router(from, 120), router(to, 120), Drawing.palette[0], width: 0.8, opacity: 0.5)
      }
      drawing.line(router(from, 120), router(from, 182), Drawing.palette[1], width: 1.4, opacity: 0.7)
    }
    for index in 0..<routers {
      drawing.dot(router(index, 120), 9, fill: "white", stroke: Drawing.ink)
      for host in 0..<min(fabric.hostsPerRouter, 8) {
        let centre = router(index, 146)
        let (x, y) = Circle.point(index, of: routers)
        // Across the direction outwards.
        let shift = (Double(host) - Double(min(fabric.hostsPerRouter, 8) - 1) / 2) * 5
        drawing.dot(.init(x: centre.x - y * shift, y: centre.y + x * shift), 2.2, fill: "#7d93a5", stroke: "none")
      }
    }
    drawing.label(
      .init(x: all.x, y: top + 416),
      "\(fabric.groups) groups, \(fabric.linksPerPair) x \(fabric.globalBandwidth) between each two", size: 11,
      colour: Drawing.faint)
    drawing.label(
      .init(x: one.x, y: top + 416),
      "one group: \(fabric.routers) routers, \(fabric.localBandwidth) between each two, \(fabric.hostsPerRouter) hosts on each",
      size: 11,
      colour: Drawing.faint)
  }

  /// Switches in rows by how far they are from hosts, and hosts below.
  mutating func addGraph(_ fabric: GraphFabric, region: Region, network: Network) {
    var hosts: [(name: String, vertices: [Int])] = []
    for user in network.users {
      for index in 0..<region.runs[user.run].count where hosts.count < 24 {
        let ports = (user.ordinal + index) * network.slots..<(user.ordinal + index + 1) * network.slots
        hosts.append((region.runs[user.run].names.name(index), ports.compactMap { fabric.attachments[$0]?.vertex }))
      }
    }
    let rows = graphRows(fabric, near: Set(hosts.flatMap(\.vertices)))
    let hostY = top + 20 + Double(rows.count) * 74
    var places: [Int: Drawing.Point] = [:]
    for (row, vertices) in rows.enumerated() {
      for (index, vertex) in vertices.enumerated() {
        places[vertex] = .init(
          x: Selection(vertices.count, most: vertices.count).x(
            index, left: TopologyDrawing.margin, width: TopologyDrawing.plotWidth),
          y: hostY - 74 * Double(row + 1))
      }
    }
    let selection = Selection(hosts.count, most: 24)
    for (index, arc) in fabric.routes.arcs.enumerated() where index % 2 == 0 {
      guard let from = places[arc.from], let to = places[arc.to] else { continue }
      drawing.line(from, to, Drawing.palette[1], width: 2)
    }
    for (index, host) in hosts.enumerated() {
      let x = selection.x(index, left: TopologyDrawing.margin, width: TopologyDrawing.plotWidth)
      for (number, vertex) in host.vertices.enumerated() {
        guard let to = places[vertex] else { continue }
        let shift = (Double(number) - Double(host.vertices.count - 1) / 2) * 7
        drawing.line(.init(x: x + shift, y: hostY), .init(x: to.x + shift, y: to.y), Drawing.palette[0], width: 1.4)
      }
    }
    for (vertex, place) in places {
      let isSwitch = vertex < fabric.switchCount
      if isSwitch {
        drawing.box(.init(x: place.x - 46, y: place.y - 12), 92, 24, fill: "white", stroke: Drawing.ink)
        drawing.label(.init(x: place.x, y: place.y + 4), String(fabric.names[vertex].prefix(14)), size: 11)
      } else {
        drawing.dot(place, 4, fill: Drawing.faint)
      }
    }
    for (index, host) in hosts.enumerated() {
      let x = selection.x(index, left: TopologyDrawing.margin, width: TopologyDrawing.plotWidth)
      let width = min(92, TopologyDrawing.plotWidth / Double(hosts.count) - 6)
      drawing.box(.init(x: x - width / 2, y: hostY), width, 24, fill: Drawing.paper)
      drawing.label(.init(x: x, y: hostY + 16), String(host.name.prefix(Int(width / 6))), size: 10)
    }
  }

  /// Vertices by how many links they are from a host, at most 16 a row and 5 rows.
  private func graphRows(_ fabric: GraphFabric, near: Set<Int>) -> [[Int]] {
    var rows: [[Int]] = []
    var seen = near
    var row = near.sorted()
    while !row.isEmpty, rows.count < 5 {
      rows.append(Array(row.prefix(16)))
      var next: Set<Int> = []
      let own = Set(row)
      for arc in fabric.routes.arcs where own.contains(arc.from) && !seen.contains(arc.to) { next.insert(arc.to) }
      seen.formUnion(next)
      row = next.sorted()
    }
    return rows
  }
}
