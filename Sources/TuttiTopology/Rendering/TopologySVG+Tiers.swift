// Networks of tiers: what is above is drawn above.

extension TopologyDrawing {
  /// Hosts as small squares in rows.
  private mutating func addHostGrid(_ count: Int, centre: Double, top: Double, width: Double, colour: String) {
    let columns = max(1, Int(width / 9))
    let shown = min(count, columns * 4)
    let rows = (shown + columns - 1) / columns
    for index in 0..<shown {
      let inRow = min(columns, shown - index / columns * columns)
      let left = centre - Double(inRow) * 4.5
      drawing.box(
        .init(x: left + Double(index % columns) * 9 + 1, y: top + Double(index / columns) * 9), 7, 7, fill: colour,
        stroke: "none",
        radius: 1.5)
    }
    drawing.label(
      .init(x: centre, y: top + Double(rows) * 9 + 12), count == 1 ? "1 host" : "\(count) hosts", size: 10,
      colour: Drawing.faint)
  }

  private mutating func addSwitch(_ centre: Drawing.Point, _ words: String, width: Double, colour: String) {
    drawing.box(.init(x: centre.x - width / 2, y: centre.y - 11), width, 22, fill: "white", stroke: colour)
    if !words.isEmpty {
      drawing.label(.init(x: centre.x, y: centre.y + 4), words, size: min(11, (width - 2) / (0.62 * Double(words.count))))
    }
  }

  private mutating func addGap(_ centre: Drawing.Point, _ words: String) {
    for step in -1...1 { drawing.dot(.init(x: centre.x + Double(step) * 9, y: centre.y), 2, fill: Drawing.faint) }
    if !words.isEmpty { drawing.label(.init(x: centre.x, y: centre.y + 17), words, size: 10, colour: Drawing.faint) }
  }

  mutating func addSingleSwitch(_ network: Network, region: Region, hosts: Int) {
    let selection = Selection(hosts, most: 12)
    let middle = Drawing.Point(x: TopologyDrawing.width / 2, y: top + 26)
    for (index, host) in selection.places.enumerated() where host != nil {
      let x = selection.x(index, left: TopologyDrawing.margin, width: TopologyDrawing.plotWidth)
      for plane in 0..<min(network.planes, 8) {
        let shift = (Double(plane) - Double(min(network.planes, 8) - 1) / 2) * 6
        drawing.line(
          .init(x: middle.x + shift * 4, y: middle.y), .init(x: x + shift, y: top + 96), Drawing.colour(plane), width: 1.6)
      }
    }
    addSwitch(middle, network.planes > 1 ? "\(network.planes) switches" : "switch", width: 130, colour: Drawing.ink)
    let names = network.users.flatMap { user in
      (0..<min(hosts, region.runs[user.run].count)).prefix(hosts).map { region.runs[user.run].names.name($0) }
    }
    for (index, host) in selection.places.enumerated() {
      let x = selection.x(index, left: TopologyDrawing.margin, width: TopologyDrawing.plotWidth)
      guard let host else {
        addGap(.init(x: x, y: top + 106), "")
        continue
      }
      drawing.box(.init(x: x - 38, y: top + 94), 76, 24, fill: Drawing.paper, stroke: Drawing.line)
      drawing.label(.init(x: x, y: top + 110), String(names[host].prefix(12)), size: 11)
    }
  }

  mutating func addLeafSpine(_ fabric: LeafSpine, hosts: Int) {
    let spines = Selection(fabric.spineCount, most: 16)
    let units = Selection(fabric.units, most: fabric.rails > 1 ? 6 : 10)
    let rails = min(fabric.rails, 8)
    let (left, width) = (TopologyDrawing.margin, TopologyDrawing.plotWidth)
    let (spineY, leafY) = (top + 20, top + 150)
    let cardWidth = width / Double(units.places.count) - 14
    func leafX(_ unit: Int, _ rail: Int) -> Double {
      units.x(unit, left: left, width: width) + (Double(rail) - Double(rails - 1) / 2) * (cardWidth - 12) / Double(rails)
    }
    for (unit, number) in units.places.enumerated() where number != nil {
      for rail in 0..<rails {
        for (index, spine) in spines.places.enumerated() {
          guard let spine, !fabric.separatesRails || spine / fabric.spines == rail else { continue }
          drawing.line(
            .init(x: leafX(unit, rail), y: leafY), .init(x: spines.x(index, left: left, width: width), y: spineY),
            Drawing.colour(rail), width: 1, opacity: 0.4)
        }
      }
    }
    for (index, spine) in spines.places.enumerated() {
      let centre = Drawing.Point(x: spines.x(index, left: left, width: width), y: spineY)
      guard let spine else {
        addGap(centre, "")
        continue
      }
      let colour = fabric.separatesRails ? Drawing.colour(spine / fabric.spines) : Drawing.ink
      addSwitch(centre, "spine \(spine)", width: min(88, width / Double(spines.places.count) - 8), colour: colour)
    }
    drawing.label(
      .init(x: TopologyDrawing.width / 2, y: top + 84), "\(fabric.uplinks) x \(fabric.uplinkBandwidth) from each leaf",
      size: 12, isBold: true, hasEdge: true)
    for (index, unit) in units.places.enumerated() {
      let x = units.x(index, left: left, width: width)
      guard let unit else {
        addGap(.init(x: x, y: leafY + 20), "\(fabric.units) in all")
        continue
      }
      drawing.box(.init(x: x - cardWidth / 2, y: leafY - 18), cardWidth, 106, fill: Drawing.paper, radius: 8)
      for rail in 0..<rails {
        let one = min(120, (cardWidth - 12) / Double(rails) - 3)
        addSwitch(
          .init(x: leafX(index, rail), y: leafY), rails == 1 ? "leaf \(unit)" : "\(rail)", width: one,
          colour: Drawing.colour(rail))
      }
      let count = min(fabric.hostsPerUnit, hosts - unit * fabric.hostsPerUnit)
      addHostGrid(count, centre: x, top: leafY + 24, width: cardWidth - 16, colour: "#7d93a5")
    }
    if fabric.rails > 1 {
      drawing.label(
        .init(x: TopologyDrawing.width / 2, y: leafY + 106),
        "each host has an interface on each of \(fabric.rails) rails; a colour is a rail",
        size: 11, colour: Drawing.faint)
    }
  }

  mutating func addFatTree(_ fabric: FatTree, hosts: Int) {
    let cores = Selection(fabric.aggregationsPerPod * fabric.cores, most: 16)
    let pods = Selection(fabric.pods, most: 5)
    let (left, width) = (TopologyDrawing.margin, TopologyDrawing.plotWidth)
    let (coreY, highY, lowY) = (top + 20, top + 130, top + 196)
    let cardWidth = width / Double(pods.places.count) - 14
    let high = Selection(fabric.aggregationsPerPod, most: 8), low = Selection(fabric.edgesPerPod, most: 8)
    func cardLeft(_ pod: Int) -> Double { pods.x(pod, left: left, width: width) - cardWidth / 2 + 6 }
    for (pod, number) in pods.places.enumerated() where number != nil {
      drawing.box(.init(x: cardLeft(pod) - 6, y: highY - 18), cardWidth, 176, fill: Drawing.paper, radius: 8)
      for (index, aggregation) in high.places.enumerated() {
        guard let aggregation else { continue }
        let from = Drawing.Point(x: high.x(index, left: cardLeft(pod), width: cardWidth - 12), y: highY)
        for (place, core) in cores.places.enumerated() where core.map({ $0 / fabric.cores == aggregation }) ?? false {
          drawing.line(
            from, .init(x: cores.x(place, left: left, width: width), y: coreY), Drawing.colour(aggregation), opacity: 0.55)
        }
        for (place, edge) in low.places.enumerated() where edge != nil {
          drawing.line(
            from, .init(x: low.x(place, left: cardLeft(pod), width: cardWidth - 12), y: lowY), Drawing.colour(aggregation),
            opacity: 0.55)
        }
      }
    }
    for (index, core) in cores.places.enumerated() {
      let centre = Drawing.Point(x: cores.x(index, left: left, width: width), y: coreY)
      guard let core else {
        addGap(centre, "")
        continue
      }
      addSwitch(
        centre, "core \(core)", width: width / Double(cores.places.count) - 8, colour: Drawing.colour(core / fabric.cores))
    }
    for (pod, number) in pods.places.enumerated() {
      let x = pods.x(pod, left: left, width: width)
      guard let number else {
        addGap(.init(x: x, y: lowY - 20), "\(fabric.pods) pods in all")
        continue
      }
      for (selection, y, isHigh) in [(high, highY, true), (low, lowY, false)] {
        for (index, one) in selection.places.enumerated() {
          let centre = Drawing.Point(x: selection.x(index, left: cardLeft(pod), width: cardWidth - 12), y: y)
          guard let one else { continue }
          let width = (cardWidth - 12) / Double(selection.places.count) - 4
          addSwitch(centre, "\(one)", width: width, colour: isHigh ? Drawing.colour(one) : Drawing.ink)
        }
      }
      let perPod = fabric.edgesPerPod * fabric.hostsPerEdge
      addHostGrid(
        max(0, min(perPod, hosts - number * perPod)), centre: x, top: lowY + 20, width: cardWidth - 16, colour: "#7d93a5")
      drawing.label(.init(x: x, y: lowY + 86), "pod \(number)", size: 11, isBold: true)
    }
  }
}
