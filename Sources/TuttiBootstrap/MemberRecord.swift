import Glibc
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// What every rank knows about every other after the join.
package struct MemberRecord: Hashable, Sendable {
  /// Who and where it is, what it may do there, and what its transports offer.
  package var facts: RankFacts
  /// Where its listener can be dialed, best first; empty when it listens on its Unix socket alone.
  package var addresses: [SocketAddress]
  /// Its abstract Unix listener, for peers on the same host.
  package var unixName: String
  package var processors: ProcessorAllowance
  /// What the layers above tell each other: bytes that nobody looks into here.
  package var note: [UInt8] = []

  /// The most bytes of rank 0's note, which may hold a file of a mebibyte.
  static let noteBytesMax = 4 << 20
  /// The most bytes of another rank's note: rank 0 takes in one of every rank.
  static let requestNoteBytesMax = 64 << 10
  /// More than any host has: the list of a host with many bridges is not cut.
  static let addressesMax = 1024

  package var rank: Int {
    get { facts.rank }
    set { facts.rank = newValue }
  }
  package var process: ProcessIdentity { facts.process }
  package var host: HostIdentity {
    get { facts.host }
    set { facts.host = newValue }
  }
  package var abilities: HostAbilities {
    get { facts.abilities }
    set { facts.abilities = newValue }
  }

  /// `rank 2 (pid 123 on host-a)`.
  package var description: String { facts.description }

  package init(facts: RankFacts, addresses: [SocketAddress], unixName: String, processors: ProcessorAllowance) {
    self.facts = facts
    self.addresses = addresses
    self.unixName = unixName
    self.processors = processors
  }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(UInt32(rank))
    process.encode(into: &encoder)
    host.encode(into: &encoder)
    abilities.encode(into: &encoder)
    encoder.put(UInt32(facts.offers.count))
    for offer in facts.offers {
      encoder.put(offer.kind.name, bytesMax: TransportKind.nameBytesMax)
      encoder.put(UInt32(offer.bytes.count))
      encoder.put(raw: offer.bytes)
    }
    encoder.put(UInt32(addresses.count))
    for address in addresses { address.encode(into: &encoder) }
    encoder.put(unixName, bytesMax: SocketAddress.abstractNameBytesMax)
    processors.encode(into: &encoder)
    encoder.put(UInt32(note.count))
    encoder.put(raw: note)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    let rank = try decoder.takeCount(max: Int(Int32.max), "rank")
    let process = try ProcessIdentity(from: &decoder)
    let host = try HostIdentity(from: &decoder)
    let abilities = try HostAbilities(from: &decoder)
    var offers: [TransportOffer] = []
    for _ in 0..<(try decoder.takeCount(max: TransportOffer.countMax, "transports")) {
      let name = try decoder.takeText(bytesMax: TransportKind.nameBytesMax, "transport")
      guard let kind = TransportKind(validating: name) else { throw MalformedMessage("transport") }
      let count = try decoder.takeCount(max: TransportOffer.bytesMax, "offer")
      offers.append(TransportOffer(kind, try decoder.take(raw: count, "offer")))
    }
    facts = RankFacts(rank: rank, process: process, host: host, abilities: abilities, offers: offers)
    addresses = []
    for _ in 0..<(try decoder.takeCount(max: Self.addressesMax, "addresses")) {
      addresses.append(try SocketAddress(from: &decoder))
    }
    unixName = try decoder.takeText(bytesMax: SocketAddress.abstractNameBytesMax, "socket name")
    processors = try ProcessorAllowance(from: &decoder)
    note = try decoder.take(raw: try decoder.takeCount(max: Self.noteBytesMax, "note"), "note")
  }
}
