import Glibc
import TuttiTransport

/// What every rank knows about every other after the join.
package struct MemberRecord: Hashable, Sendable {
  package var rank: Int
  package var process: ProcessIdentity
  package var host: HostIdentity
  /// Where its listener can be dialed, best first; empty when it listens on its Unix socket alone.
  package var addresses: [SocketAddress]
  /// Its abstract Unix listener, for peers on the same host.
  package var unixName: String
  /// The transports it offers.
  package var transports: [TransportKind]
  package var processors: ProcessorAllowance
  /// What its process may do there.
  package var abilities: HostAbilities
  /// Its ways onto an RDMA fabric, best first; empty when it has none or offers none, and ``HostAbilities/rdmaObstacle`` may say why.
  package var rails: [Rail]

  static let addressesMax = 8

  /// `rank 2 (pid 123 on host-a)`.
  package var description: String { "rank \(rank) (pid \(process.pid) on \(host.name))" }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(UInt32(rank))
    process.encode(into: &encoder)
    host.encode(into: &encoder)
    encoder.put(UInt32(addresses.count))
    for address in addresses { address.encode(into: &encoder) }
    encoder.put(unixName, bytesMax: SocketAddress.abstractNameBytesMax)
    encoder.put(UInt32(transports.count))
    for transport in transports { encoder.put(transport.rawValue) }
    processors.encode(into: &encoder)
    abilities.encode(into: &encoder)
    encoder.put(UInt32(rails.count))
    for rail in rails { rail.encode(into: &encoder) }
  }

  init(
    rank: Int, process: ProcessIdentity, host: HostIdentity, addresses: [SocketAddress], unixName: String,
    transports: [TransportKind], processors: ProcessorAllowance, abilities: HostAbilities, rails: [Rail] = []
  ) {
    self.rank = rank
    self.process = process
    self.host = host
    self.addresses = addresses
    self.unixName = unixName
    self.transports = transports
    self.processors = processors
    self.abilities = abilities
    self.rails = rails
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    rank = try decoder.takeCount(max: Int(Int32.max), "rank")
    process = try ProcessIdentity(from: &decoder)
    host = try HostIdentity(from: &decoder)
    addresses = []
    for _ in 0..<(try decoder.takeCount(max: Self.addressesMax, "addresses")) {
      addresses.append(try SocketAddress(from: &decoder))
    }
    unixName = try decoder.takeText(bytesMax: SocketAddress.abstractNameBytesMax, "socket name")
    transports = []
    for _ in 0..<(try decoder.takeCount(max: 32, "transports")) {
      // One this version does not know is not one it could use.
      if let kind = TransportKind(rawValue: try decoder.take("transport")) { transports.append(kind) }
    }
    processors = try ProcessorAllowance(from: &decoder)
    abilities = try HostAbilities(from: &decoder)
    rails = []
    for _ in 0..<(try decoder.takeCount(max: Rail.countMax, "rails")) { rails.append(try Rail(from: &decoder)) }
  }
}

/// A process, so that it is not mistaken for a later one with the same number.
package struct ProcessIdentity: Hashable, Sendable {
  package var pid: Int32
  /// Field 22 of `/proc/PID/stat`: ticks since boot.
  var startTime: UInt64
  /// Inode of the process number namespace: `pid` means nothing in another one.
  var namespace: UInt64

  package static func current() -> ProcessIdentity {
    ProcessIdentity(
      pid: getpid(), startTime: startTime(of: "self") ?? 0, namespace: namespaceInode("pid"))
  }

  static func startTime(of process: String) -> UInt64? {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    guard let text = readSmallFile("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(pid)
    encoder.put(startTime)
    encoder.put(namespace)
  }

  init(pid: Int32, startTime: UInt64, namespace: UInt64) {
    self.pid = pid
    self.startTime = startTime
    self.namespace = namespace
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    pid = try decoder.take("pid")
    startTime = try decoder.take("start time")
    namespace = try decoder.take("namespace")
  }
}

/// A host as ranks see it: what shares abstract Unix sockets, and memory where ``MemoryDomain`` agrees. Two network namespaces are two hosts.
package struct HostIdentity: Hashable, Sendable {
  /// For people; not part of the identity.
  package var name: String
  /// Boot identifier and network namespace.
  package var identity: String

  static let textBytesMax = 255

  package static func current() -> HostIdentity {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let boot = readSmallFile("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first.map(String.init)
    return HostIdentity(name: name, identity: "\(boot ?? name)/\(namespaceInode("net"))")
  }

  /// What two containers of one machine have in common: the identity without the network namespace.
  var machine: Substring { identity.prefix(upTo: identity.lastIndex(of: "/") ?? identity.endIndex) }

  package static func == (left: HostIdentity, right: HostIdentity) -> Bool { left.identity == right.identity }
  package func hash(into hasher: inout Hasher) { hasher.combine(identity) }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(name, bytesMax: Self.textBytesMax)
    encoder.put(identity, bytesMax: Self.textBytesMax)
  }

  init(name: String, identity: String) {
    self.name = name
    self.identity = identity
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    name = try decoder.takeText(bytesMax: Self.textBytesMax, "host name")
    identity = try decoder.takeText(bytesMax: Self.textBytesMax, "host identity")
  }
}

/// Inode of one of this process's namespaces; 0 when it cannot be told.
func namespaceInode(_ kind: String) -> UInt64 {
  var status = stat()
  return stat("/proc/self/ns/\(kind)", &status) == 0 ? UInt64(status.st_ino) : 0
}
