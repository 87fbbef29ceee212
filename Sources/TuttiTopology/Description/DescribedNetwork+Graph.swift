// Reading an arbitrary graph: switches by name, and cables between them and the hosts.

extension DescribedNetwork {
  static let switchesMax = 4096
  static let cablesMax = 65_536

  func graph(_ users: Users, _ size: Size) throws(DescriptionError) -> GraphFabric {
    var reader = GraphReader(users, size, cableBandwidth: try cableBandwidth(), latencies: try latencies())
    if let node = fields.optional("switches") {
      for (index, element) in try node.list(fields.path("switches"), 1...DescribedNetwork.switchesMax).enumerated() {
        try reader.addSwitches(element, "\(fields.path("switches"))[\(index)]")
      }
    }
    let list = try fields.required("links", "the cables").list(fields.path("links"), 1...DescribedNetwork.cablesMax)
    for (index, element) in list.enumerated() {
      try reader.addCables(try Fields(element, path: "\(fields.path("links"))[\(index)]", .cable), defaults: fields)
    }
    return reader.fabric(gateway: try gateway(reader))
  }

  private func gateway(_ reader: GraphReader) throws(DescriptionError) -> Int? {
    guard let name = try fields.text("gateway") else { return nil }
    guard let vertex = reader.switches[name] else {
      throw fields.error("gateway", Fields.unknown("switch '\(name.shortened)'", name, reader.names, of: "this network"))
    }
    return vertex
  }
}

/// Collects the vertices and cables of a graph.
private struct GraphReader {
  private let users: DescribedNetwork.Users
  private let size: DescribedNetwork.Size
  private let cableBandwidth: Bandwidth?
  private let latencies: HopLatencies
  /// By name: the run, and the place among the hosts of the network.
  private var hosts: [String: (run: Int, ordinal: Int)] = [:]
  private(set) var switches: [String: Int] = [:]
  /// The names of vertices: switches first, then cables between hosts.
  private(set) var names: [String] = []
  private var attachments: [GraphFabric.Attachment?]
  private var cables: [(a: Int, b: Int, figures: LinkFigures)] = []

  /// An end of a cable.
  private enum End {
    case host(name: String, run: Int, ordinal: Int, nic: String?)
    case vertex(Int)
  }

  init(
    _ users: DescribedNetwork.Users, _ size: DescribedNetwork.Size, cableBandwidth: Bandwidth?, latencies: HopLatencies
  ) {
    self.users = users
    self.size = size
    self.cableBandwidth = cableBandwidth
    self.latencies = latencies
    attachments = [GraphFabric.Attachment?](repeating: nil, count: size.hosts * size.slots)
    var ordinal = 0
    for (index, run) in users.runs.enumerated() where !users.nics[index].isEmpty {
      for host in 0..<run.count {
        hosts[run.names.name(host)] = (index, ordinal)
        ordinal += 1
      }
    }
  }

  mutating func addSwitches(_ node: DescriptionNode, _ field: String) throws(DescriptionError) {
    let pattern = try NamePattern(node, field, countMax: DescribedNetwork.switchesMax)
    for index in 0..<(pattern.count ?? 1) {
      let name = pattern.count == nil ? pattern.prefix : pattern.names.name(index)
      guard switches[name] == nil, hosts[name] == nil else {
        throw node.error(field, "'\(name)' is the name of \(hosts[name] == nil ? "two switches" : "a host too")")
      }
      guard names.count < DescribedNetwork.switchesMax else {
        throw node.error(field, "more than \(DescribedNetwork.switchesMax) switches")
      }
      switches[name] = names.count
      names.append(name)
    }
  }

  /// Every name at one end is connected to every name at the other.
  mutating func addCables(_ own: Fields, defaults: Fields) throws(DescriptionError) {
    let field = own.path("between")
    let ends = try own.required("between", "the two ends: hosts, interfaces as host:nic, or switches").list(field, 2...2)
    let (left, right) = (try self.ends(ends[0], "\(field)[0]"), try self.ends(ends[1], "\(field)[1]"))
    let count = try own.number("count", 1...64, default: 1)
    let latency = try own.latency("latency", default: latencies.cable)
    let bandwidth = own.has("bandwidth") ? try own.bandwidth("bandwidth") : cableBandwidth
    for near in left {
      for far in right {
        for _ in 0..<count { try connect(near, far, bandwidth, latency, own) }
      }
    }
  }

  private mutating func connect(
    _ near: End, _ far: End, _ bandwidth: Bandwidth?, _ latency: Latency, _ own: Fields
  ) throws(DescriptionError) {
    guard cables.count + names.count < DescribedNetwork.cablesMax else {
      throw own.error("between", "more than \(DescribedNetwork.cablesMax) cables in all")
    }
    switch (near, far) {
    case (.vertex(let a), .vertex(let b)):
      guard a != b else { throw own.error("between", "'\(names[a])' has no cable to itself") }
      guard let bandwidth else {
        throw own.error("bandwidth", "is missing: of a link between switches, or 'bandwidth' of the network")
      }
      cables.append((a, b, LinkFigures(bandwidth: bandwidth, latency: latency + latencies.switch)))
    case (.host, .vertex(let vertex)):
      try attach(near, vertex, bandwidth, up: latency + latencies.switch, down: latency, own)
    case (.vertex(let vertex), .host):
      try attach(far, vertex, bandwidth, up: latency + latencies.switch, down: latency, own)
    case (.host(let name, _, _, _), .host(let other, _, _, _)):
      guard name != other else { throw own.error("between", "'\(name)' has no cable to itself") }
      // The cable is passed once, whichever way.
      names.append("cable \(name) to \(other)")
      try attach(near, names.count - 1, bandwidth, up: latency, down: .zero, own)
      try attach(far, names.count - 1, bandwidth, up: latency, down: .zero, own)
    }
  }

  private mutating func attach(
    _ end: End, _ vertex: Int, _ bandwidth: Bandwidth?, up: Latency, down: Latency, _ own: Fields
  ) throws(DescriptionError) {
    guard case .host(let name, let run, let ordinal, let nic) = end else { return }
    let nics = users.nics[run]
    let free = nics.indices.first { index in
      attachments[ordinal * size.slots + index] == nil && (nic == nil || users.runs[run].kind.nics[nics[index]].name == nic)
    }
    guard let free else {
      throw own.error(
        "between",
        nic.map { "interface '\($0)' of '\(name)' has a cable already" }
          ?? "all \(nics.count) of the interfaces of '\(name)' in this network have cables already")
    }
    attachments[ordinal * size.slots + free] = GraphFabric.Attachment(
      vertex: vertex, bandwidth: bandwidth, up: up, down: down)
  }

  private func ends(_ node: DescriptionNode, _ field: String) throws(DescriptionError) -> [End] {
    let text = try node.text(field)
    guard text.contains("[") else { return [try end(text, node, field)] }
    let pattern = try NamePattern(node, field, countMax: DescribedNetwork.cablesMax)
    var ends: [End] = []
    for index in 0..<(pattern.count ?? 0) { ends.append(try end(pattern.names.name(index), node, field)) }
    return ends
  }

  private func end(_ text: String, _ node: DescriptionNode, _ field: String) throws(DescriptionError) -> End {
    if let vertex = switches[text] { return .vertex(vertex) }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let host = hosts[parts[0]] else {
      let known = names.count + hosts.count <= 64 ? names + hosts.keys.sorted() : []
      let hint = nearestName(to: parts[0], in: known).map { "; did you mean '\($0)'?" } ?? ""
      throw node.error(
        field, "there is no switch, and no host with interfaces in this network, named '\(text.shortened)'\(hint)")
    }
    if parts.count == 2 {
      let own = users.nics[host.run].map { users.runs[host.run].kind.nics[$0].name }
      guard own.contains(parts[1]) else {
        throw node.error(
          field, Fields.unknown("interface '\(parts[1].shortened)'", parts[1], own, of: "'\(parts[0])' in this network"))
      }
    }
    return .host(name: parts[0], run: host.run, ordinal: host.ordinal, nic: parts.count == 2 ? parts[1] : nil)
  }

  func fabric(gateway: Int?) -> GraphFabric {
    GraphFabric(
      names: names, switchCount: switches.count, attachments: attachments,
      routes: GraphRoutes(vertexCount: names.count, cables: cables), gateway: gateway)
  }
}
