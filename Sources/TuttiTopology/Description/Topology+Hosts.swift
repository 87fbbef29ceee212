// Reading hosts: what is in them, how many there are, what they are called.

/// What a file may still describe.
struct Budget {
  private var hosts = Topology.hostsMax
  private var ranks = Topology.ranksMax

  mutating func take(hosts count: Int, ranks: Int, _ own: Fields) throws(DescriptionError) {
    hosts -= count
    self.ranks -= ranks
    guard hosts >= 0 else {
      throw own.error("count", "\(Topology.hostsMax - hosts) hosts: \(Topology.hostsMax) is the most")
    }
    guard self.ranks >= 0 else {
      throw own.error("ranks", "\(Topology.ranksMax - self.ranks) ranks: \(Topology.ranksMax) is the most")
    }
  }
}

extension Topology {
  /// What links inside hosts have where a file does not say: of current servers, rounded. `docs/TOPOLOGIES.md` says where
  /// they are from.
  static let memoryDefault = LinkFigures(
    bandwidth: Bandwidth(bitsPerSecond: 800_000_000_000), latency: Latency(picoseconds: 200_000))
  static let meshDefault = LinkFigures(
    bandwidth: Bandwidth(bitsPerSecond: 800_000_000_000), latency: Latency(picoseconds: 50_000))
  static let interconnectDefault = LinkFigures(
    bandwidth: Bandwidth(bitsPerSecond: 400_000_000_000), latency: Latency(picoseconds: 100_000))

  /// - Parameters:
  ///   - fields: Of the region or the file, which has the hosts.
  ///   - networks: The names of the region's networks.
  ///   - budget: What the file may still describe.
  static func readHosts(_ fields: Fields, networks: [String], budget: inout Budget) throws(DescriptionError) -> [HostRun] {
    let node = try fields.required("hosts", "a mapping, or a list of them where hosts differ")
    var nodes = [(node, fields.path("hosts"))]
    if case .sequence(let list) = node.content {
      guard !list.isEmpty else { throw node.error(fields.path("hosts"), "has no element: there is at least one host") }
      nodes = list.enumerated().map { ($0.element, "\(fields.path("hosts"))[\($0.offset)]") }
    }
    var runs: [HostRun] = []
    var names: Set<String> = []
    for (node, path) in nodes {
      let own = try Fields(node, path: path, .hosts)
      let run = try readRun(own, networks: networks, budget: &budget)
      // Names from a pattern differ among themselves.
      if nodes.count > 1 {
        for index in 0..<run.count where !names.insert(run.names.name(index)).inserted {
          throw own.error(
            own.has("names") ? "names" : "name",
            "'\(run.names.name(index))' is the name of two hosts: give each 'name' its own numbers")
        }
      }
      runs.append(run)
    }
    return runs
  }

  private static func readRun(_ own: Fields, networks: [String], budget: inout Budget) throws(DescriptionError) -> HostRun {
    try own.exclude("name", "names")
    try own.exclude("count", "names")
    let (names, count) = try readNames(own)
    // Before anything is made for each rank.
    let ranks = try own.number("ranks", 1...HostKind.ranksMax, default: 1)
    try budget.take(hosts: count, ranks: count * ranks, own)
    return HostRun(kind: try readKind(own, ranks: ranks, networks: networks), count: count, names: names)
  }

  private static func readNames(_ own: Fields) throws(DescriptionError) -> (names: HostNames, count: Int) {
    if let list = own.optional("names") {
      var names: [String] = []
      for (index, node) in try list.list(own.path("names"), 1...hostsMax).enumerated() {
        names.append(try node.name("\(own.path("names"))[\(index)]"))
      }
      var seen: Set<String> = []
      if let twice = names.first(where: { !seen.insert($0).inserted }) {
        throw own.error("names", "'\(twice)' is the name of two hosts")
      }
      return (.listed(names), names.count)
    }
    let count = own.has("count") ? try own.number("count", 1...hostsMax) : nil
    guard let node = own.optional("name") else {
      return (.numbered(prefix: "host", first: 0, digits: 1), count ?? 1)
    }
    let pattern = try NamePattern(node, own.path("name"), countMax: hostsMax)
    if let range = pattern.count {
      guard count == nil || count == range else {
        throw own.error("count", "is \(count ?? 0), but 'name' has \(range) names")
      }
      return (pattern.names, range)
    }
    // A single host is called what the file calls it; several have numbers.
    guard let count else { return (.listed([pattern.prefix]), 1) }
    return (pattern.names, count)
  }

  private static func readKind(_ own: Fields, ranks: Int, networks: [String]) throws(DescriptionError) -> HostKind {
    let sockets = try own.number("sockets", 1...HostKind.socketsMax, default: 1)
    let numa = try own.number("numa-per-socket", 1...HostKind.numaMax / sockets, default: 1)
    if own.has("mesh"), numa == 1 { throw own.error("mesh", "connects NUMA nodes of one socket: set 'numa-per-socket'") }
    if own.has("interconnect"), sockets == 1 { throw own.error("interconnect", "connects sockets: set 'sockets'") }
    return HostKind(
      sockets: sockets, numaPerSocket: numa, ranks: ranks,
      memory: try readFigures(own, "memory", default: memoryDefault),
      mesh: try readFigures(own, "mesh", default: meshDefault),
      interconnect: try readFigures(own, "interconnect", default: interconnectDefault),
      nics: try readNICs(own, sockets: sockets, numaPerSocket: numa, networks: networks))
  }

  private static func readFigures(_ own: Fields, _ key: String, default other: LinkFigures) throws(DescriptionError)
    -> LinkFigures
  {
    guard let node = own.optional(key) else { return other }
    let fields = try Fields(node, path: own.path(key), .figures)
    return LinkFigures(
      bandwidth: try fields.bandwidth("bandwidth", default: other.bandwidth),
      latency: try fields.latency("latency", default: other.latency))
  }

  // MARK: Interfaces

  private static func readNICs(
    _ own: Fields, sockets: Int, numaPerSocket: Int, networks: [String]
  ) throws(DescriptionError) -> [NIC] {
    guard let node = own.optional("nics") else { return [] }
    var nodes = [(node, own.path("nics"))]
    if case .sequence(let list) = node.content {
      nodes = list.enumerated().map { ($0.element, "\(own.path("nics"))[\($0.offset)]") }
    }
    var nics: [NIC] = []
    var names: Set<String> = []
    var unplaced: [Int] = []
    for (node, path) in nodes {
      let fields = try Fields(node, path: path, .nic)
      let count = try fields.number("count", 1...HostKind.nicsMax, default: 1)
      guard nics.count + count <= HostKind.nicsMax else {
        throw fields.error("count", "\(nics.count + count) interfaces in a host: \(HostKind.nicsMax) is the most")
      }
      let figures = LinkFigures(bandwidth: try fields.bandwidth("bandwidth"), latency: try fields.latency("latency"))
      let network = try readNetwork(fields, networks)
      let isPlaced = fields.has("numa") || fields.has("socket")
      let places = try readNUMA(fields, sockets: sockets, numaPerSocket: numaPerSocket)
      let name = try fields.name("name")
      let first = nics.count
      for index in 0..<count {
        // Numbers follow where a name stands for several.
        let own = name.map { count > 1 ? "\($0)\(index)" : $0 } ?? "nic\(first + index)"
        guard names.insert(own).inserted else {
          throw fields.error("name", "'\(own)' is the name of two interfaces of one host")
        }
        let numa = places.lowerBound + index * places.count / count
        if !isPlaced { unplaced.append(nics.count) }
        nics.append(NIC(name: own, numa: numa, network: network, figures: figures))
      }
    }
    // All together, whether a file lists them one by one or not.
    for (place, index) in unplaced.enumerated() { nics[index].numa = place * sockets * numaPerSocket / unplaced.count }
    return nics
  }

  private static func readNetwork(_ fields: Fields, _ networks: [String]) throws(DescriptionError) -> Int {
    guard !networks.isEmpty else {
      throw fields.node.error(fields.path, "there is no network to plug them into: add 'network'")
    }
    guard let node = fields.optional("network") else {
      guard networks.count == 1 else {
        throw fields.error("network", "is missing: which of \(networks.joined(separator: ", ")) they are in")
      }
      return 0
    }
    let name = try node.text(fields.path("network"))
    guard let index = networks.firstIndex(of: name) else {
      throw node.error(
        fields.path("network"), Fields.unknown("network '\(name.shortened)'", name, networks, of: "this file"))
    }
    return index
  }

  /// The NUMA nodes over which interfaces are divided.
  private static func readNUMA(_ fields: Fields, sockets: Int, numaPerSocket: Int) throws(DescriptionError) -> Range<Int> {
    try fields.exclude("socket", "numa")
    if fields.has("numa") {
      let numa = try fields.number("numa", 0...(sockets * numaPerSocket - 1))
      return numa..<numa + 1
    }
    if fields.has("socket") {
      let socket = try fields.number("socket", 0...(sockets - 1))
      return socket * numaPerSocket..<(socket + 1) * numaPerSocket
    }
    return 0..<sockets * numaPerSocket
  }
}
