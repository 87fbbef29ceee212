// Reading the regular networks: few numbers, from which all switches and links follow.

extension DescribedNetwork {
  func leafSpine(_ size: Size, rails: Int) throws(DescriptionError) -> LeafSpine {
    let hostsPerLeaf = try fields.number("hosts-per-leaf", 1...Topology.hostsMax)
    guard size.slots % rails == 0 else {
      throw fields.error("rails", "\(size.slots) interfaces of a host do not divide into \(rails) rails")
    }
    let uplinkBandwidth = try fields.bandwidth("uplink-bandwidth", default: size.access)
    let uplinks = try self.uplinks(
      down: [hostsPerLeaf, size.slots / rails], access: size.access, uplink: uplinkBandwidth)
    let spines = try fields.number("spines", 1...65_536, default: uplinks)
    guard uplinks % spines == 0 else {
      throw fields.error(
        fields.has("spines") ? "spines" : "uplinks",
        "\(uplinks) uplinks of a leaf do not divide over \(spines) spines: every leaf reaches every spine, equally often")
    }
    let separatesRails = try fields.choice("rail-spines", ["shared", "separate"], default: "shared") == "separate"
    if fields.has("rail-spines"), rails == 1 { throw fields.error("rail-spines", "is for several rails: set 'rails'") }
    let units = (size.hosts + hostsPerLeaf - 1) / hostsPerLeaf
    _ = try product([units, rails, uplinks, 2])
    _ = try product([units, hostsPerLeaf, size.slots])
    return LeafSpine(
      units: units, hostsPerUnit: hostsPerLeaf, slots: size.slots, rails: rails, uplinks: uplinks, spines: spines,
      separatesRails: separatesRails, bandwidth: try cableBandwidth(), uplinkBandwidth: uplinkBandwidth,
      latencies: try latencies())
  }

  /// The uplinks of a leaf: as many as the file says, or as carry what comes in by the oversubscription.
  private func uplinks(down: [Int], access: Bandwidth, uplink: Bandwidth) throws(DescriptionError) -> Int {
    try fields.exclude("uplinks", "oversubscription")
    if fields.has("uplinks") { return try fields.number("uplinks", 1...65_536) }
    let ratio = try oversubscription()
    let incoming = (try product(down) * access).bitsPerSecond
    // In 128 bits: rates are up to 10^14, counts up to 2^26.
    let needed = UInt128(incoming) * UInt128(ratio.under)
    let (count, rest) = needed.quotientAndRemainder(dividingBy: UInt128(uplink.bitsPerSecond) * UInt128(ratio.over))
    guard rest == 0, (1...65_536).contains(count) else {
      throw fields.error(
        fields.has("oversubscription") ? "oversubscription" : "hosts-per-leaf",
        "\(Bandwidth(bitsPerSecond: incoming)) into a leaf at \(ratio.over):\(ratio.under) is no whole number of uplinks of "
          + "\(uplink), from 1 to 65536: give 'uplinks', or change the other figures")
    }
    return Int(count)
  }

  private func oversubscription() throws(DescriptionError) -> (over: Int, under: Int) {
    guard let node = fields.optional("oversubscription") else { return (1, 1) }
    return try node.ratio(fields.path("oversubscription"))
  }

  func fatTree(_ size: Size) throws(DescriptionError) -> FatTree {
    let explicit = ["pods", "edges-per-pod", "aggregations-per-pod", "cores-per-aggregation", "hosts-per-edge"]
    var counts: [Int] = []
    if fields.has("k") {
      for key in explicit { try fields.exclude("k", key) }
      let k = try fields.number("k", 2...256)
      guard k % 2 == 0 else { throw fields.error("k", "\(k) is odd: half of a switch's ports lead up") }
      let ratio = try oversubscription()
      guard k / 2 * ratio.over % ratio.under == 0 else {
        throw fields.error(
          "oversubscription", "\(k / 2) hosts on an edge switch at \(ratio.over):\(ratio.under) are no whole number")
      }
      counts = [k, k / 2, k / 2, k / 2, k / 2 * ratio.over / ratio.under]
    } else {
      if fields.has("oversubscription") {
        throw fields.error("oversubscription", "goes with 'k'; without it, give 'hosts-per-edge'")
      }
      guard explicit.contains(where: fields.has) else {
        throw fields.error("k", "is missing: the ports of a switch; or give \(explicit.joined(separator: ", "))")
      }
      for key in explicit { counts.append(try fields.number(key, 1...4096)) }
    }
    _ = try product([counts[0], counts[1], counts[2], 2])
    _ = try product([counts[0], counts[2], counts[3], 2])
    _ = try product([counts[0], counts[1], counts[4], size.slots])
    let uplink = try fields.bandwidth("uplink-bandwidth", default: size.access)
    return FatTree(
      pods: counts[0], edgesPerPod: counts[1], aggregationsPerPod: counts[2], cores: counts[3], hostsPerEdge: counts[4],
      slots: size.slots, bandwidth: try cableBandwidth(), uplinkBandwidth: uplink,
      coreBandwidth: try fields.bandwidth("core-bandwidth", default: uplink), latencies: try latencies())
  }

  func torus(_ size: Size) throws(DescriptionError) -> Torus {
    let field = fields.path("dimensions")
    let list = try fields.required("dimensions", "a list of how many nodes there are in each, such as [4, 4, 4]").list(
      field, 1...8)
    var dimensions: [Int] = []
    for (index, node) in list.enumerated() { dimensions.append(try node.number("\(field)[\(index)]", 1...65_536)) }
    _ = try product(dimensions + [size.slots])
    _ = try product(dimensions + [2 * dimensions.count])
    return Torus(
      dimensions: dimensions, wraps: try fields.flag("wrap", default: true), slots: size.slots,
      bandwidth: try cableBandwidth(),
      linkBandwidth: try fields.bandwidth("link-bandwidth", default: size.access), latencies: try latencies())
  }

  func dragonfly(_ size: Size) throws(DescriptionError) -> Dragonfly {
    let groups = try fields.number("groups", 1...65_536)
    let routers = try fields.number("routers-per-group", 1...4096)
    let hosts = try fields.number("hosts-per-router", 1...4096)
    let globalLinks = try fields.number("global-links-per-router", 1...4096)
    guard groups == 1 || routers * globalLinks >= groups - 1 else {
      throw fields.error(
        "groups",
        "a group of \(routers) routers with \(globalLinks) global links each reaches \(routers * globalLinks) others, not \(groups - 1)"
      )
    }
    _ = try product([groups, routers, hosts, size.slots])
    _ = try product([groups, routers, routers])
    _ = try product([groups, routers, globalLinks])
    let latencies = try latencies()
    let local = try fields.bandwidth("local-bandwidth", default: size.access)
    return Dragonfly(
      groups: groups, routers: routers, hostsPerRouter: hosts, globalLinks: globalLinks, slots: size.slots,
      bandwidth: try cableBandwidth(), localBandwidth: local,
      globalBandwidth: try fields.bandwidth("global-bandwidth", default: local),
      globalLatency: try fields.latency("global-latency", default: latencies.cable), latencies: latencies)
  }
}
