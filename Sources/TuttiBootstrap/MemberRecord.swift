import Glibc
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// What every rank knows about every other after the join.
///
/// Most of it is the same for the ranks of a host. Records that came in one table share the memory of that, so that the
/// table of many ranks is small, and comparing two of them is quick (``MemberTable``).
package struct MemberRecord: Hashable, Sendable {
  /// Who and where it is, what it may do there, and what its transports offer.
  package var facts: RankFacts
  /// Where its listener is, without the port, which is the same at all of them.
  private var places: [SocketAddress]
  private var port: UInt16
  /// What its abstract Unix listener is named after.
  var listenerNumber: CommunicatorID
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

  /// Where its listener can be dialed, best first, all with one port; empty when it listens on its Unix socket alone.
  package var addresses: [SocketAddress] {
    get { places.map { $0.withPort(port) } }
    set {
      precondition(newValue.allSatisfy { $0.port == newValue[0].port }, "a listener has one port")
      port = newValue.first?.port ?? 0
      places = newValue.map { $0.withPort(0) }
    }
  }

  /// Its abstract Unix listener, for peers on the same host.
  package var unixName: String { MemberListeners.unixName(listenerNumber) }

  package init(
    facts: RankFacts, addresses: [SocketAddress], listenerNumber: CommunicatorID, processors: ProcessorAllowance
  ) {
    self.facts = facts
    self.listenerNumber = listenerNumber
    self.processors = processors
    (places, port) = ([], 0)
    self.addresses = addresses
  }

  // MARK: As it travels

  /// The bytes of what is a rank's alone.
  static let ownBytes = 4 + 8 + 2 + 16

  func encode(into encoder: inout WireEncoder) {
    encoder.put(UInt32(rank))
    encodeOwn(into: &encoder)
    encodeCommon(into: &encoder)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    let rank = try decoder.takeCount(max: Int(Int32.max), "rank")
    let own = try Own(from: &decoder)
    try self.init(commonFrom: &decoder)
    take(own, rank: rank)
  }

  /// What no other rank has as well.
  struct Own {
    let pid: Int32
    let startTime: UInt64
    let port: UInt16
    let listenerNumber: CommunicatorID

    init(from decoder: inout WireDecoder) throws(MalformedMessage) {
      pid = try decoder.take("pid")
      startTime = try decoder.take("start time")
      port = try decoder.take("port")
      listenerNumber = try CommunicatorID(from: &decoder)
    }
  }

  func encodeOwn(into encoder: inout WireEncoder) {
    encoder.put(process.pid)
    encoder.put(process.startTime)
    encoder.put(port)
    listenerNumber.encode(into: &encoder)
  }

  /// Becomes the record of a rank that has all but this in common with this one.
  mutating func take(_ own: Own, rank: Int) {
    facts.rank = rank
    facts.process.pid = own.pid
    facts.process.startTime = own.startTime
    port = own.port
    listenerNumber = own.listenerNumber
  }

  /// Encodes what the ranks of a host most often have in common.
  func encodeCommon(into encoder: inout WireEncoder) {
    encoder.put(process.namespace)
    host.encode(into: &encoder)
    abilities.encode(into: &encoder)
    encoder.put(UInt32(facts.offers.count))
    for offer in facts.offers {
      encoder.put(offer.kind.name, bytesMax: TransportKind.nameBytesMax)
      encoder.put(UInt32(offer.bytes.count))
      encoder.put(raw: offer.bytes)
    }
    encoder.put(UInt32(places.count))
    for place in places { place.encode(into: &encoder) }
    processors.encode(into: &encoder)
    encoder.put(UInt32(note.count))
    encoder.put(raw: note)
  }

  /// Decodes what ranks have in common: a record of rank 0 without a process and a port.
  init(commonFrom decoder: inout WireDecoder) throws(MalformedMessage) {
    let process = ProcessIdentity(pid: 0, startTime: 0, namespace: try decoder.take("namespace"))
    let host = try HostIdentity(from: &decoder)
    let abilities = try HostAbilities(from: &decoder)
    var offers: [TransportOffer] = []
    for _ in 0..<(try decoder.takeCount(max: TransportOffer.countMax, "transports")) {
      let name = try decoder.takeText(bytesMax: TransportKind.nameBytesMax, "transport")
      guard let kind = TransportKind(validating: name) else { throw MalformedMessage("transport") }
      let count = try decoder.takeCount(max: TransportOffer.bytesMax, "offer")
      offers.append(TransportOffer(kind, try decoder.take(raw: count, "offer")))
    }
    facts = RankFacts(rank: 0, process: process, host: host, abilities: abilities, offers: offers)
    (places, port) = ([], 0)
    for _ in 0..<(try decoder.takeCount(max: Self.addressesMax, "addresses")) {
      places.append(try SocketAddress(from: &decoder).withPort(0))
    }
    listenerNumber = CommunicatorID(high: 0, low: 0)
    processors = try ProcessorAllowance(from: &decoder)
    note = try decoder.take(raw: try decoder.takeCount(max: Self.noteBytesMax, "note"), "note")
  }
}
