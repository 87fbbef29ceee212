// What is in a host: sockets, the NUMA nodes in them, ranks as numbered dots, interfaces below.

extension TopologyDrawing {
  /// One host of each kind, three at most.
  mutating func addHosts() {
    var kinds: [HostRun] = []
    for run in topology.runs where kinds.count < 3 && !kinds.contains(where: { $0.kind == run.kind }) { kinds.append(run) }
    for run in kinds {
      heading(kinds.count == 1 ? "a host" : "a host like \(run.names.name(0))", run.summary)
      addHost(run.kind)
      top = drawing.bottom + 30
    }
  }

  private mutating func addHost(_ kind: HostKind) {
    let sockets = min(kind.sockets, 4), nodes = min(kind.numaPerSocket, 8)
    let gap = 120.0
    let width = min(430, (TopologyDrawing.plotWidth - gap * Double(sockets - 1)) / Double(sockets))
    let left = (TopologyDrawing.width - width * Double(sockets) - gap * Double(sockets - 1)) / 2
    let height = 92.0
    for socket in 0..<sockets {
      let x = left + Double(socket) * (width + gap)
      if socket > 0 {
        drawing.line(.init(x: x - gap, y: top + height / 2), .init(x: x, y: top + height / 2), Drawing.palette[1], width: 4)
        drawing.label(.init(x: x - gap / 2, y: top + height / 2 - 10), kind.interconnect.bandwidth.inBytes, size: 11)
        drawing.label(
          .init(x: x - gap / 2, y: top + height / 2 + 20), "\(kind.interconnect.latency)", size: 10, colour: Drawing.faint)
      }
      drawing.box(.init(x: x, y: top), width, height, fill: Drawing.paper, radius: 8)
      drawing.label(.init(x: x + 10, y: top + 17), "socket \(socket)", size: 11, anchor: .start, isBold: true)
      for node in 0..<nodes {
        let inner = (width - 12) / Double(nodes)
        addNode(kind, socket * kind.numaPerSocket + node, .init(x: x + 6 + Double(node) * inner, y: top + 24), inner - 4)
      }
      addInterfaces(kind, socket, x, width, top + height)
    }
  }

  private mutating func addNode(_ kind: HostKind, _ numa: Int, _ corner: Drawing.Point, _ width: Double) {
    drawing.box(corner, width, 60, fill: "white")
    let ranks = (0..<kind.ranks).filter { kind.numa(of: $0) == numa }
    let shown = Selection(ranks.count, most: max(3, Int(width / 26)))
    for (index, place) in shown.places.enumerated() {
      let centre = Drawing.Point(x: shown.x(index, left: corner.x + 4, width: width - 8), y: corner.y + 22)
      guard let place else {
        drawing.label(.init(x: centre.x, y: centre.y + 4), "...", size: 11)
        continue
      }
      drawing.dot(centre, 11, fill: Drawing.palette[2])
      drawing.label(.init(x: centre.x, y: centre.y + 4), "\(ranks[place])", size: 10, colour: "white")
    }
    drawing.label(
      .init(x: corner.x + width / 2, y: corner.y + 52), "memory \(kind.memory.bandwidth.inBytes), \(kind.memory.latency)",
      size: min(10, width / 18), colour: Drawing.faint)
  }

  private mutating func addInterfaces(_ kind: HostKind, _ socket: Int, _ left: Double, _ width: Double, _ y: Double) {
    let nics = kind.nics.filter { kind.socket(ofNUMA: $0.numa) == socket }
    let shown = Selection(nics.count, most: 8)
    for (index, place) in shown.places.enumerated() {
      let x = shown.x(index, left: left, width: width)
      guard let place else {
        drawing.label(.init(x: x, y: y + 26), "...", size: 11)
        continue
      }
      drawing.line(.init(x: x, y: y), .init(x: x, y: y + 14), Drawing.palette[0], width: 3)
      drawing.box(.init(x: x - 22, y: y + 14), 44, 18, fill: "white", stroke: Drawing.palette[0])
      drawing.label(.init(x: x, y: y + 27), String(nics[place].name.prefix(7)), size: 10)
      drawing.label(.init(x: x, y: y + 44), "\(nics[place].figures.bandwidth)", size: 9, colour: Drawing.faint)
    }
  }
}
