import TuttiBootstrap
import TuttiSystem
import TuttiTopology

/// What a rank can tell of its host for a description of the job: facts that the kernel tells, and nothing measured.
package struct HostReport: Sendable, Hashable {
  /// A host's interfaces of one kind.
  package struct Interfaces: Sendable, Hashable {
    /// `eth0`, `mlx5_0`.
    package var name: String
    package var count: Int
    /// The rate of one, in Mb/s; 0 where the kernel does not tell: virtual ones say -1.
    package var megabits: Int
    package var isRDMA: Bool

    package init(name: String, count: Int, megabits: Int, isRDMA: Bool) {
      self.name = name
      self.count = count
      self.megabits = megabits
      self.isRDMA = isRDMA
    }
  }

  package var host: HostIdentity
  package var sockets: Int
  package var nodes: Int
  /// What the job's ranks reach each other by; nil where all are on one host and need none.
  package var interfaces: Interfaces?

  package init(host: HostIdentity, sockets: Int, nodes: Int, interfaces: Interfaces?) {
    self.host = host
    self.sockets = sockets
    self.nodes = nodes
    self.interfaces = interfaces
  }

  /// Reads this rank's.
  ///
  /// - Parameter root: The folder that stands for `/sys`; tests make one.
  package static func read(_ communicator: Communicator, root: String = "/sys") -> HostReport {
    let nodes = ProcessorTopology.readNodes(root: root + "/devices/system")
    let packages = Set(
      listFolder(root + "/devices/system/cpu").compactMap { name -> String? in
        name.hasPrefix("cpu") ? readSmallFile("\(root)/devices/system/cpu/\(name)/topology/physical_package_id") : nil
      })
    return HostReport(
      host: .current(), sockets: max(1, packages.count), nodes: max(1, nodes.count),
      interfaces: rails(root) ?? interface(of: communicator, root))
  }

  /// The RDMA ports that are up; nil where there are none.
  private static func rails(_ root: String) -> Interfaces? {
    var found: Interfaces?
    let devices = root + "/class/infiniband"
    for device in listFolder(devices).sorted() {
      for port in listFolder("\(devices)/\(device)/ports").sorted() {
        let place = "\(devices)/\(device)/ports/\(port)"
        guard readSmallFile(place + "/state")?.contains("ACTIVE") == true else { continue }
        // `100 Gb/sec (4X EDR)`.
        let rate = readSmallFile(place + "/rate").flatMap { Double($0.prefix { $0 != " " }) } ?? 0
        let megabits = rate.isFinite && (0...1e6).contains(rate) ? Int(rate * 1000) : 0
        if var known = found {
          known.count += 1
          known.megabits = min(known.megabits, megabits)
          found = known
        } else {
          found = Interfaces(name: device, count: 1, megabits: megabits, isRDMA: true)
        }
      }
    }
    return found
  }

  /// The interface whose address this rank gave its peers.
  private static func interface(of communicator: Communicator, _ root: String) -> Interfaces? {
    let own = Set(communicator.member.addresses.map(\.hostText))
    guard let entry = TuttiSystem.Interfaces.list().first(where: { own.contains($0.address.hostText) }),
      !entry.address.isLoopback
    else { return nil }
    let speed = readSmallFile("\(root)/class/net/\(entry.name)/speed").flatMap { Int($0.prefix { !$0.isNewline }) } ?? 0
    return Interfaces(name: entry.name, count: 1, megabits: max(0, speed), isRDMA: false)
  }
}

extension HostReport {
  /// The bytes of every rank's report as it travels.
  private static let bytes = 1024

  /// Tells all ranks this one's report. Returns everyone's, by rank.
  package func exchange(_ communicator: Communicator) throws(TuttiError) -> [HostReport] {
    var own = Array(text.utf8.prefix(Self.bytes))
    own += [UInt8](repeating: 0, count: Self.bytes - own.count)
    let all = try communicator.allGather(own)
    return (0..<communicator.rankCount).map { rank in
      let bytes = all[rank * Self.bytes..<(rank + 1) * Self.bytes].prefix { $0 != 0 }
      return HostReport(text: String(decoding: bytes, as: UTF8.self)) ?? self
    }
  }

  private var text: String {
    let interfaces = interfaces.map { ["\($0.name)", "\($0.count)", "\($0.megabits)", "\($0.isRDMA)"] } ?? []
    return ([host.name, host.identity, "\(sockets)", "\(nodes)"] + interfaces).joined(separator: "\t")
  }

  private init?(text: String) {
    let parts = text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4 || parts.count == 8, let sockets = Int(parts[2]), let nodes = Int(parts[3]) else { return nil }
    var interfaces: Interfaces?
    if parts.count == 8 {
      guard let count = Int(parts[5]), let megabits = Int(parts[6]), let isRDMA = Bool(parts[7]) else { return nil }
      interfaces = Interfaces(name: parts[4], count: count, megabits: megabits, isRDMA: isRDMA)
    }
    self.init(
      host: HostIdentity(name: parts[0], identity: parts[1]), sockets: sockets, nodes: nodes, interfaces: interfaces)
  }
}
