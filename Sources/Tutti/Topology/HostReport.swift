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
  /// The interfaces by which hosts reach each other; nil where none is known, or ranks use the loopback interface.
  package var interfaces: Interfaces?

  package init(host: HostIdentity, sockets: Int, nodes: Int, interfaces: Interfaces?) {
    self.host = host
    self.sockets = sockets
    self.nodes = nodes
    self.interfaces = interfaces
  }

  /// Reads this rank's report.
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
        // `4: ACTIVE`.
        let state = readSmallFile(place + "/state")?.split(whereSeparator: \.isWhitespace) ?? []
        guard state.contains("ACTIVE") else { continue }
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
  /// The bytes of every rank's report as it travels: more than three texts and the numbers take.
  private static let bytes = 1024

  /// Tells all ranks this one's report. Returns everyone's, by rank.
  ///
  /// - Throws: The errors of an all-gather; `.version` where a rank's report cannot be read.
  package func exchange(_ communicator: Communicator) throws(TuttiError) -> [HostReport] {
    var encoder = WireEncoder()
    encode(into: &encoder)
    let own = encoder.bytes + [UInt8](repeating: 0, count: Self.bytes - encoder.bytes.count)
    let all = try communicator.allGather(own)
    var reports: [HostReport] = []
    for rank in 0..<communicator.rankCount {
      var decoder = WireDecoder(Array(all[rank * Self.bytes..<(rank + 1) * Self.bytes]))
      do throws(MalformedMessage) { reports.append(try HostReport(from: &decoder)) } catch {
        throw TuttiError(
          FailureReport(
            .version, rank: communicator.rank, peer: rank, "rank \(rank)'s report of its host has no \(error.what)",
            advice: "Run the same build on all ranks"))
      }
    }
    return reports
  }

  private func encode(into encoder: inout WireEncoder) {
    host.encode(into: &encoder)
    encoder.put(UInt32(clamping: sockets))
    encoder.put(UInt32(clamping: nodes))
    encoder.put(UInt8(interfaces == nil ? 0 : 1))
    guard let interfaces else { return }
    encoder.put(interfaces.name, bytesMax: HostIdentity.textBytesMax)
    encoder.put(UInt32(clamping: interfaces.count))
    encoder.put(UInt32(clamping: interfaces.megabits))
    encoder.put(UInt8(interfaces.isRDMA ? 1 : 0))
  }

  private init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    host = try HostIdentity(from: &decoder)
    sockets = Int(try decoder.take(UInt32.self, "number of sockets"))
    nodes = Int(try decoder.take(UInt32.self, "number of NUMA nodes"))
    guard try decoder.take(UInt8.self, "word on interfaces") != 0 else { return }
    interfaces = Interfaces(
      name: try decoder.takeText(bytesMax: HostIdentity.textBytesMax, "interface's name"),
      count: Int(try decoder.take(UInt32.self, "number of interfaces")),
      megabits: Int(try decoder.take(UInt32.self, "interface's rate")),
      isRDMA: try decoder.take(UInt8.self, "kind of interface") != 0)
  }
}
