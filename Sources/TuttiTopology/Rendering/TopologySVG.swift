// A topology as a picture: the networks from above, one host of each kind from inside, and what each level costs.

extension Topology {
  /// An SVG document that needs nothing else, for papers and browsers. Of what there are many of, the first and the last
  /// are drawn.
  package var svg: String { TopologyDrawing(self).document() }
}

/// One picture, from top to bottom.
struct TopologyDrawing {
  static let width = 1080.0, margin = 28.0
  static var plotWidth: Double { width - 2 * margin }

  let topology: Topology
  var drawing = Drawing()
  /// Where the next part begins.
  var top = 84.0

  init(_ topology: Topology) { self.topology = topology }

  func document() -> String {
    var own = self
    own.addWideArea()
    own.addNetworks()
    own.addHosts()
    own.addLevels()
    let height = Int(own.drawing.bottom + 32)
    let width = Int(TopologyDrawing.width)
    let title = Drawing.escaped(topology.title)
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
      font-family="Helvetica, Arial, sans-serif">
      <title>\(title)</title>
      <rect width="100%" height="100%" fill="white"/>
      <text x="28" y="38" font-size="20" font-weight="bold" fill="\(Drawing.ink)">\(title)</text>
      <text x="28" y="58" font-size="11" fill="\(Drawing.faint)">\(Drawing.escaped(topology.placement.order.words)); \
      \(topology.linkCount) directed links; hash \(topology.hash)</text>
      \(own.drawing.text)</svg>

      """
  }

  mutating func heading(_ words: String, _ rest: String = "") {
    drawing.label(.init(x: TopologyDrawing.margin, y: top + 12), words, size: 14, anchor: .start, isBold: true)
    if !rest.isEmpty {
      drawing.label(
        .init(x: TopologyDrawing.margin, y: top + 28), rest, size: 11, colour: Drawing.faint, anchor: .start)
    }
    top += 42
  }

  // MARK: Regions

  private mutating func addWideArea() {
    guard let wideArea = topology.wideArea else { return }
    heading("wide area", "latency in one direction")
    let count = topology.regions.count
    let centre = Drawing.Point(x: TopologyDrawing.width / 2, y: top + 190)
    let places = (0..<count).map { index in
      let (x, y) = Circle.point(index, of: count)
      return Drawing.Point(x: centre.x + x * 330, y: centre.y + y * 160)
    }
    let arcs = wideArea.routes.arcs.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    let widest = arcs.map(\.figures.bandwidth.bitsPerSecond).max() ?? 1
    for arc in arcs {
      let share = Double(arc.figures.bandwidth.bitsPerSecond) / Double(widest)
      drawing.line(places[arc.from], places[arc.to], Drawing.line, width: 1.5 + 4 * share)
    }
    if count <= 12 {
      for (index, arc) in arcs.enumerated() {
        // Off the middle, where lines cross.
        let part = index % 2 == 0 ? 0.36 : 0.64
        let (from, to) = (places[arc.from], places[arc.to])
        drawing.label(
          .init(x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part + 3),
          "\(arc.figures.latency), \(arc.figures.bandwidth)", size: 11, hasEdge: true)
      }
    }
    for (index, region) in topology.regions.enumerated() {
      let hosts = region.runs.reduce(0) { $0 + $1.count }
      let ranks = region.runs.reduce(0) { $0 + $1.count * $1.kind.ranks }
      let size = count <= 12 ? 132.0 : 60.0
      drawing.box(
        .init(x: places[index].x - size / 2, y: places[index].y - 22), size, 44, fill: "white",
        stroke: Drawing.colour(index),
        radius: 8)
      drawing.label(.init(x: places[index].x, y: places[index].y - 3), region.name, size: 13, isBold: true)
      if count <= 12 {
        drawing.label(
          .init(x: places[index].x, y: places[index].y + 13), "\(hosts) hosts, \(ranks) ranks", size: 10,
          colour: Drawing.faint)
      }
    }
    top = centre.y + 200
  }

  // MARK: Networks

  /// Each network of the first region, and of others where theirs differ.
  private mutating func addNetworks() {
    var drawn: Set<String> = []
    for region in topology.regions {
      for network in region.networks where drawn.count < 4 {
        guard drawn.insert(network.name + network.summary).inserted else { continue }
        let alike = topology.regions.count { other in
          other.networks.contains { $0.name == network.name && $0.summary == network.summary }
        }
        let place = topology.regions.count == 1 ? "" : alike > 1 ? " of \(alike) regions" : " of \(region.name)"
        heading("\(network.name)\(place): \(network.fabric.type)", network.details)
        let hosts = network.users.reduce(0) { $0 + region.runs[$1.run].count }
        switch network.fabric {
        case let fabric as LeafSpine: addLeafSpine(fabric, hosts: hosts)
        case let fabric as FatTree: addFatTree(fabric, hosts: hosts)
        case let fabric as Torus: addTorus(fabric)
        case let fabric as Dragonfly: addDragonfly(fabric)
        case let fabric as GraphFabric: addGraph(fabric, region: region, network: network)
        default: addSingleSwitch(network, region: region, hosts: hosts)
        }
        top = drawing.bottom + 30
      }
    }
  }

  // MARK: Levels

  /// Bars on a logarithmic scale: a factor of ten makes the same difference everywhere.
  private mutating func addLevels() {
    let figures = topology.levelFigures
    guard !figures.isEmpty else { return }
    heading("from one to another", "of the slowest pairs that were looked at; scales are logarithmic")
    let columns = [(left: 300.0, width: 230.0), (left: 570.0, width: 200.0), (left: 810.0, width: 200.0)]
    for (column, words) in zip(columns, ["latency", "bandwidth of one flow", "all that leaves one of them"]) {
      drawing.label(.init(x: column.left, y: top + 4), words, size: 11, colour: Drawing.faint, anchor: .start)
    }
    let latencies = figures.map { Double($0.latency.picoseconds) }
    let bandwidths = figures.flatMap { [$0.bandwidth, $0.exit ?? $0.bandwidth] }.map { Double($0.bitsPerSecond) }
    func share(_ value: Double, _ all: [Double]) -> Double {
      guard let least = all.min(), let most = all.max(), most > least, least > 0 else { return 1 }
      return 0.12 + 0.88 * (Logarithm.of(value / least) / Logarithm.of(most / least))
    }
    for (index, level) in figures.enumerated() {
      let y = top + 22 + Double(index) * 26
      let sizes = level.sizes.upperBound == 1 ? "" : ", \(level.sizeWords) ranks each"
      drawing.label(.init(x: TopologyDrawing.margin, y: y + 4), level.name, size: 12, anchor: .start, isBold: true)
      drawing.label(
        .init(x: 110, y: y + 4), "\(level.groupCount)\(sizes)", size: 11, colour: Drawing.faint, anchor: .start)
      let bars: [(Double, String, String)] = [
        (share(Double(level.latency.picoseconds), latencies), "\(level.latency)", Drawing.palette[1]),
        (share(Double(level.bandwidth.bitsPerSecond), bandwidths), "\(level.bandwidth)", Drawing.palette[0]),
      ]
      for (column, bar) in zip(columns, bars) { addBar(column, y, bar) }
      if let exit = level.exit {
        addBar(columns[2], y, (share(Double(exit.bitsPerSecond), bandwidths), "\(exit)", Drawing.palette[2]))
      }
    }
    top = drawing.bottom
  }

  private mutating func addBar(
    _ column: (left: Double, width: Double), _ y: Double, _ bar: (share: Double, words: String, colour: String)
  ) {
    let length = (column.width - 76) * bar.share
    drawing.box(.init(x: column.left, y: y - 6), length, 12, fill: bar.colour, stroke: "none", radius: 2)
    drawing.label(.init(x: column.left + length + 6, y: y + 4), bar.words, size: 11, anchor: .start)
  }
}

/// The natural logarithm, which a module that imports nothing has to bring: for the lengths of bars only.
enum Logarithm {
  /// - Parameter value: Above 0.
  static func of(_ value: Double) -> Double {
    // value = significand x 2^exponent, and ln s = 2 artanh((s - 1) / (s + 1)).
    let part = (value.significand - 1) / (value.significand + 1)
    var (term, sum) = (part, part)
    for power in stride(from: 3, through: 25, by: 2) {
      term *= part * part
      sum += term / Double(power)
    }
    return 2 * sum + Double(value.exponent) * 0.693147180559945309
  }
}

/// Places on a circle, without a sine.
enum Circle {
  /// Where the n-th of so many is, from the top, clockwise; both from -1 to 1.
  static func point(_ index: Int, of count: Int) -> (x: Double, y: Double) {
    // A turn by a small angle, again and again: of 720 steps, each of half a degree.
    let steps = (index * 720 / max(1, count)) % 720
    let (cosine, sine) = (0.99996192306417128874, 0.00872653549837393496)
    var (x, y) = (0.0, -1.0)
    for _ in 0..<steps { (x, y) = (x * cosine - y * sine, x * sine + y * cosine) }
    return (x, y)
  }
}
