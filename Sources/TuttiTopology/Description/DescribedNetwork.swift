// Reading networks. A network is built when its hosts are known, because how many there are decides how large a generator
// makes it.

/// The networks of a region, or of the file.
struct DescribedNetworks {
  private let fields: Fields

  init(_ fields: Fields) { self.fields = fields }

  func read() throws(DescriptionError) -> [DescribedNetwork] {
    if let node = fields.optional("network") {
      return [try DescribedNetwork(node, path: fields.path("network"), defaultName: "network")]
    }
    guard let node = fields.optional("networks") else { return [] }
    var networks: [DescribedNetwork] = []
    for (index, element) in try node.list(fields.path("networks"), 1...Topology.networksMax).enumerated() {
      let network = try DescribedNetwork(element, path: "\(fields.path("networks"))[\(index)]", defaultName: nil)
      guard !networks.contains(where: { $0.name == network.name }) else {
        throw network.fields.error("name", "'\(network.name)' is the name of two networks")
      }
      networks.append(network)
    }
    return networks
  }
}

/// A network of a file, its type and keys checked.
struct DescribedNetwork {
  let name: String
  let section: Section
  let fields: Fields

  /// The hosts that have interfaces in it.
  struct Users {
    let runs: [HostRun]
    /// By run: the interfaces that its hosts have in the network.
    let nics: [[Int]]
    let hostCount: Int
    /// The most that a host has.
    let nicsMax: Int
    /// The slowest of them; nil where there are none.
    let bandwidth: Bandwidth?

    init(_ runs: [HostRun], network: Int) {
      let nics = runs.map { run in run.kind.nics.indices.filter { run.kind.nics[$0].network == network } }
      self.runs = runs
      self.nics = nics
      hostCount = zip(runs, nics).reduce(0) { $0 + ($1.1.isEmpty ? 0 : $1.0.count) }
      nicsMax = nics.map(\.count).max() ?? 0
      bandwidth = zip(runs, nics).flatMap { run, nics in nics.map { run.kind.nics[$0].figures.bandwidth } }.min()
    }
  }

  /// What a generator needs to know of the hosts, in numbers that were checked.
  struct Size {
    let hosts: Int
    let planes: Int
    let slots: Int
    /// What a host's cable carries.
    let access: Bandwidth
  }

  /// More ports or links than this are no cluster.
  static let portsMax = 1 << 22
  static let linksMax = 1 << 26

  init(_ node: DescriptionNode, path: String, defaultName: String?) throws(DescriptionError) {
    // The type says which keys there are.
    guard case .mapping(let members) = node.content else {
      throw node.error(path, "must be a mapping with a 'type', not \(node.kind)")
    }
    let known = Section.networks.map(\.rawValue)
    guard let type = members.first(where: { $0.key == "type" }) else {
      throw node.error("\(path).type", "is missing: one of \(known.joined(separator: ", "))")
    }
    let text = try type.value.text("\(path).type")
    guard let section = Section(rawValue: text), Section.networks.contains(section) else {
      let hint =
        nearestName(to: text, in: known).map { "did you mean '\($0)'?" } ?? "one of \(known.joined(separator: ", "))"
      throw type.value.error("\(path).type", "unknown '\(text.shortened)'; \(hint)")
    }
    self.section = section
    fields = try Fields(node, path: path, section)
    guard let name = try fields.name("name") ?? defaultName else {
      throw fields.error("name", "is missing: how 'nics' call the network")
    }
    self.name = name
  }

  func network(for users: Users) throws(DescriptionError) -> Network {
    guard let slowest = users.bandwidth else {
      throw fields.node.error(fields.path, "no host has 'nics' in network '\(name)'")
    }
    let rails = section == .graph ? 1 : try fields.number("rails", 1...HostKind.nicsMax, default: 1)
    guard rails <= users.nicsMax else {
      throw fields.error(
        "rails", "\(rails) rails, but no host has more than \(users.nicsMax) of its interfaces in the network")
    }
    // The rails of a leaf-spine may meet at the spines; those of other shapes are networks of their own.
    let planes = section == .leafSpine ? 1 : rails
    let size = Size(
      hosts: users.hostCount, planes: planes, slots: (users.nicsMax + planes - 1) / planes,
      access: try fields.bandwidth("bandwidth", default: slowest))
    let fabric: any Fabric =
      switch section {
      case .leafSpine: try leafSpine(size, rails: rails)
      case .fatTree: try fatTree(size)
      case .torus: try torus(size)
      case .dragonfly: try dragonfly(size)
      case .graph: try graph(users, size)
      default:
        SingleSwitch(
          portCount: try product([size.hosts, size.slots]), bandwidth: try cableBandwidth(), latencies: try latencies())
      }
    let ports = try product([fabric.portCount, planes])
    guard ports <= DescribedNetwork.portsMax, fabric.linkCount <= DescribedNetwork.linksMax / planes else {
      throw fields.node.error(fields.path, "\(ports) ports and \(fabric.linkCount) links are more than this is made for")
    }
    guard fabric.portCount >= size.hosts * size.slots else {
      throw fields.node.error(
        fields.path, "has room for \(fabric.portCount / size.slots) hosts, and \(size.hosts) have interfaces in it")
    }
    return Network(name: name, fabric: fabric, planes: planes, slots: size.slots)
  }

  // MARK: What all of them have

  /// What a switch adds where a file does not say: a cut-through switch, from port to port.
  static let switchDefault = Latency(picoseconds: 500_000)

  func latencies() throws(DescriptionError) -> HopLatencies {
    HopLatencies(
      cable: try fields.latency("cable-latency", default: .zero),
      switch: try fields.latency("switch-latency", default: DescribedNetwork.switchDefault))
  }

  func cableBandwidth() throws(DescriptionError) -> Bandwidth? {
    fields.has("bandwidth") ? try fields.bandwidth("bandwidth") : nil
  }

  /// The product of counts, which an absurd file must not overflow.
  func product(_ counts: [Int]) throws(DescriptionError) -> Int {
    var result = 1
    for count in counts {
      let (next, overflows) = result.multipliedReportingOverflow(by: count)
      guard !overflows, next <= DescribedNetwork.linksMax else {
        throw fields.node.error(
          fields.path,
          "\(counts.map(String.init).joined(separator: " x ")) is more than this is made for: \(DescribedNetwork.linksMax)")
      }
      result = next
    }
    return result
  }
}
