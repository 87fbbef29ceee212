import Glibc
import TuttiSystem
import TuttiTopology
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
