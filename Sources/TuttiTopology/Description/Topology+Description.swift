// From what a file says to the model: the whole, its regions and the order of its ranks. Hosts and networks have files of
// their own.

extension Topology {
  /// The topology that a file describes.
  ///
  /// - Parameters:
  ///   - description: The file's content.
  ///   - file: Its name, for errors.
  /// - Throws: ``DescriptionError`` for the first thing that is wrong.
  package init(_ description: DescriptionNode, file: String) throws(DescriptionError) {
    do throws(DescriptionError) { self = try Topology.read(description) } catch {
      var error = error
      error.file = file
      throw error
    }
  }

  private static func read(_ description: DescriptionNode) throws(DescriptionError) -> Topology {
    let fields = try Fields(description, path: "", .topology)
    _ = try fields.number("version", 1...1, default: 1)
    let name = try fields.text("name") ?? ""
    guard name.utf8.count <= 255, name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
      throw fields.error("name", "must be one line of at most 255 bytes")
    }
    let source = try fields.text("source") ?? ""
    try fields.exclude("network", "networks")
    let regions = try readRegions(fields)
    let wideArea = try readWideArea(fields, regions)
    let order = try readPlacement(fields, regions)
    return Topology(name: name, source: source, regions: regions, wideArea: wideArea, order: order)
  }

  // MARK: Regions

  /// The regions of the file; one without a name where it has none.
  private static func readRegions(_ fields: Fields) throws(DescriptionError) -> [Region] {
    var budget = Budget()
    guard let list = fields.optional("regions") else {
      if fields.has("wan") { throw fields.error("wan", "connects regions, of which there are none: add 'regions'") }
      return [try readRegion("", fields, defaults: fields, budget: &budget)]
    }
    var regions: [Region] = []
    var names: Set<String> = []
    for (index, node) in try list.list("regions", 1...regionsMax).enumerated() {
      let path = "regions[\(index)]"
      let own = try Fields(node, path: path, .region)
      try own.exclude("network", "networks")
      guard let name = try own.name("name") else {
        throw own.error("name", "is missing: how the wide area calls the region")
      }
      guard names.insert(name).inserted else { throw own.error("name", "'\(name)' is the name of two regions") }
      regions.append(try readRegion(name, own, defaults: fields, budget: &budget))
    }
    return regions
  }

  private static func readRegion(
    _ name: String, _ own: Fields, defaults: Fields, budget: inout Budget
  ) throws(DescriptionError) -> Region {
    let networks = DescribedNetworks(own.has("network") || own.has("networks") ? own : defaults)
    let list = try networks.read()
    let runs = try readHosts(own.has("hosts") ? own : defaults, networks: list.map(\.name), budget: &budget)
    var built: [Network] = []
    for (index, network) in list.enumerated() {
      built.append(try network.network(for: DescribedNetwork.Users(runs, network: index)))
    }
    let complete = Region(name: name, runs: runs, networks: built)
    try Reachability(complete).check(own.has("hosts") ? own : defaults)
    return complete
  }

  // MARK: Between regions

  private static func readWideArea(_ fields: Fields, _ regions: [Region]) throws(DescriptionError) -> WideArea? {
    guard regions.count > 1 else {
      if fields.has("wan") { throw fields.error("wan", "connects regions, of which there is one: add others to 'regions'") }
      return nil
    }
    let own = try Fields(try fields.required("wan", "what connects the regions"), path: "wan", .wan)
    var cables: [(a: Int, b: Int, figures: LinkFigures)] = []
    if let list = own.optional("links") {
      for (index, node) in try list.list("wan.links", 1...regionsMax * regionsMax).enumerated() {
        let link = try Fields(node, path: "wan.links[\(index)]", .cable)
        let ends = try link.required("between", "the two regions").list(link.path("between"), 2...2)
        var pair: [Int] = []
        for (index, end) in ends.enumerated() {
          let field = "\(link.path("between"))[\(index)]"
          let name = try end.text(field)
          guard let region = regions.firstIndex(where: { $0.name == name }) else {
            throw end.error(field, Fields.unknown("region '\(name.shortened)'", name, regions.map(\.name), of: "this file"))
          }
          pair.append(region)
        }
        guard pair[0] != pair[1] else { throw link.error("between", "a region has no link to itself") }
        let figures = LinkFigures(
          bandwidth: try link.bandwidth("bandwidth", default: own.has("bandwidth") ? own.bandwidth("bandwidth") : nil),
          latency: try link.latency("latency", default: own.has("latency") ? own.latency("latency") : nil))
        for _ in 0..<(try link.number("count", 1...64, default: 1)) { cables.append((pair[0], pair[1], figures)) }
      }
    } else {
      let figures = LinkFigures(bandwidth: try own.bandwidth("bandwidth"), latency: try own.latency("latency"))
      for a in regions.indices { for b in regions.indices where a < b { cables.append((a, b, figures)) } }
    }
    let routes = GraphRoutes(vertexCount: regions.count, cables: cables)
    if let lonely = routes.components.firstIndex(where: { $0 != routes.components[0] }) {
      throw own.error("links", "region '\(regions[lonely].name)' cannot reach region '\(regions[0].name)': add a link")
    }
    for region in regions {
      // Hosts that have interfaces have them in networks that reach each other; a region of one host may have none.
      guard region.primary != nil else {
        throw own.node.error(
          "wan", "region '\(region.name)' has no network: give its hosts 'nics', and the region a 'network'")
      }
      for network in region.networks {
        guard let graph = network.fabric as? GraphFabric else { continue }
        guard let gateway = graph.gateway else {
          throw own.node.error(
            "wan",
            "network '\(network.name)' of region '\(region.name)' does not say which switch leads to other regions: give its 'gateway'"
          )
        }
        guard
          graph.attachments.allSatisfy({
            $0.map { graph.routes.components[$0.vertex] == graph.routes.components[gateway] } ?? true
          })
        else {
          throw own.node.error(
            "wan", "the gateway '\(graph.names[gateway])' of region '\(region.name)' does not reach all of its hosts")
        }
      }
    }
    return WideArea(routes: routes)
  }

  // MARK: Ranks

  private static func readPlacement(_ fields: Fields, _ regions: [Region]) throws(DescriptionError) -> RankPlacement.Order {
    let runs = regions.flatMap(\.runs)
    let capacity = runs.reduce(0) { $0 + $1.count * $1.kind.ranks }
    guard let node = fields.optional("placement") else { return .inOrder }
    guard case .sequence(let list) = node.content else {
      return try fields.choice("placement", ["in-order", "round-robin"]) == "in-order" ? .inOrder : .roundRobin
    }
    guard (1...capacity).contains(list.count) else {
      throw fields.error("placement", "names the hosts of \(list.count) ranks; the hosts have room for 1 to \(capacity)")
    }
    var numbers: [String: (host: Int32, room: Int)] = [:]
    var host: Int32 = 0
    for region in regions {
      for run in region.runs {
        for index in 0..<run.count {
          let name = run.names.name(index)
          numbers[regions.count > 1 ? "\(region.name)/\(name)" : name] = (host, run.kind.ranks)
          host += 1
        }
      }
    }
    var hosts: [Int32] = []
    for (rank, node) in list.enumerated() {
      let field = "placement[\(rank)]"
      let name = try node.text(field)
      guard let known = numbers[name] else {
        let few = numbers.count <= 64 ? numbers.keys.sorted() : []
        let hint = nearestName(to: name, in: few).map { "; did you mean '\($0)'?" } ?? ""
        throw node.error(field, "there is no host '\(name.shortened)'\(hint)")
      }
      guard known.room > 0 else { throw node.error(field, "'\(name)' has more ranks here than its 'ranks' say") }
      numbers[name] = (known.host, known.room - 1)
      hosts.append(known.host)
    }
    return .listed(hosts)
  }
}
