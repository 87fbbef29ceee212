/// Whether every host of a region can send to every other one: hosts pass nothing on, so each two need interfaces that
/// reach each other.
struct Reachability {
  private let region: Region

  init(_ region: Region) { self.region = region }

  /// More kinds of connections than this are no cluster.
  private static let kindsMax = 2048

  /// - Parameter fields: Where the hosts are described.
  func check(_ fields: Fields) throws(DescriptionError) {
    guard region.runs.reduce(0, { $0 + $1.count }) > 1 else { return }
    // Hosts that are in the same segments are alike; most regions have one kind.
    var kinds: [Set<Segment>] = []
    var hosts: [String] = []
    var known: Set<Set<Segment>> = []
    for run in region.runs {
      for index in 0..<run.count {
        let segments = segments(of: index, in: run)
        let name = run.names.name(index)
        guard !segments.isEmpty else {
          throw fields.error("hosts", "'\(name)' is in no network: give it 'nics', and give those a cable")
        }
        guard known.insert(segments).inserted else {
          if isUniform(run) { break }
          continue
        }
        kinds.append(segments)
        hosts.append(name)
        if isUniform(run) { break }
      }
    }
    guard let first = kinds.first, kinds.reduce(first, { $0.intersection($1) }).isEmpty else { return }
    for (index, kind) in kinds.enumerated() {
      guard index < Reachability.kindsMax else {
        throw fields.error(
          "hosts", "more than \(Reachability.kindsMax) kinds of hosts by which parts of networks they are in")
      }
      if let other = kinds[..<index].firstIndex(where: { $0.isDisjoint(with: kind) }) {
        throw fields.error(
          "hosts",
          "'\(hosts[other])' cannot reach '\(hosts[index])': no network has interfaces of both that reach each other")
      }
    }
  }

  private struct Segment: Hashable {
    let network: Int
    let number: Int
  }

  /// In a graph, each host may be plugged in elsewhere.
  private func isUniform(_ run: HostRun) -> Bool {
    !region.networks.indices.contains { !run.nics[$0].isEmpty && region.networks[$0].fabric is GraphFabric }
  }

  private func segments(of index: Int, in run: HostRun) -> Set<Segment> {
    var found: Set<Segment> = []
    for (number, network) in region.networks.enumerated() {
      guard let first = run.ordinals[number] else { continue }
      for nic in run.nics[number].indices {
        let (plane, port) = network.port(ordinal: first + index, index: nic)
        if let segment = network.segment(plane: plane, port: port) {
          found.insert(Segment(network: number, number: segment))
        }
      }
    }
    return found
  }
}
