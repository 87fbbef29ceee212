import TuttiSystem
import TuttiTransport
import TuttiTopology
import Testing

@testable import TuttiBootstrap

@Suite struct WireCoderTests {
  static let member = MemberRecord(
    facts: RankFacts(
      rank: 0, process: ProcessIdentity(pid: 12, startTime: 34, namespace: 56),
      host: HostIdentity(name: "host-ä", identity: "boot/1"),
      abilities: HostAbilities(memoryObstacle: "memfd_create: no", watchObstacle: "", user: 7, userNamespace: 8),
      offers: [TransportOffer(TransportKind("one"), [1, 2, 3]), TransportOffer(TransportKind("another"), [])]),
    addresses: [.ipv4(0x0A00_0001, port: 80), .ipv6(1, 2, port: 80)], listenerNumber: CommunicatorID(high: 3, low: 4),
    processors: ProcessorAllowance(
      inherited: ProcessorSet(list: "0-3,70")!,
      quota: ProcessorQuota(quotaMicroseconds: 150_000, periodMicroseconds: 100_000, group: 7)))

  static let report = FailureReport(
    .peerLost, rank: 1, peer: -1, "gone", advice: "look", operation: "all-reduce", operationNumber: 17, step: 4,
    transport: "tcp", systemError: 104)

  static var rendezvousMessages: [RendezvousMessage] {
    [
      .request(JoinRequest(rankCount: 4, member: member, settings: ["a": "b", "c": ""], patienceMilliseconds: 99)),
      .attached, .failed(report), .parent(CommunicatorID(high: 1, low: 2), member),
      .table([member]), .refusal(report), .begin,
    ]
  }

  static var controlMessages: [ControlMessage] {
    [
      .abort(report), .goodbye, .question(id: 5, asker: 1, target: 3, operationNumber: 9),
      .answer(id: 6, asker: 0, about: 2, .left),
      .answer(
        id: 7, asker: 0, about: 2,
        .status(
          RankStatus(
            entered: 8, completed: 7, waitingFor: -1, operation: "barrier",
            asked: CallDescription("broadcast", identity: .max - 1), trouble: "is far"))),
    ]
  }

  @Test func messagesSurviveTheTrip() throws {
    for message in Self.rendezvousMessages { #expect(try RendezvousMessage(message.bytes).bytes == message.bytes) }
    for message in Self.controlMessages { #expect(try ControlMessage(message.bytes, rankCount: 4).bytes == message.bytes) }
    guard case .request(let request) = try RendezvousMessage(Self.rendezvousMessages[0].bytes) else {
      throw MalformedMessage("kind")
    }
    #expect(request.member == Self.member && request.settings == ["a": "b", "c": ""])
    guard case .abort(let report) = try ControlMessage(Self.controlMessages[0].bytes, rankCount: 4) else {
      throw MalformedMessage("kind")
    }
    #expect(report.description == Self.report.description && report.code == .peerLost)
  }

  @Test func theLongestReportFits() {
    let text = String(repeating: "€", count: 5000)
    let report = FailureReport(.transport, text, advice: text, operation: text, transport: text)
    #expect(ControlMessage.abort(report).bytes.count <= ControlMessage.bytesMax)
  }

  @Test func everyTruncationIsRefused() {
    for bytes in Self.rendezvousMessages.map(\.bytes) {
      for count in 0..<bytes.count {
        #expect(throws: MalformedMessage.self) { try RendezvousMessage(Array(bytes.prefix(count))) }
      }
      #expect(throws: MalformedMessage.self) { try RendezvousMessage(bytes + [0]) }
    }
    for bytes in Self.controlMessages.map(\.bytes) {
      for count in 0..<bytes.count {
        #expect(throws: MalformedMessage.self) { try ControlMessage(Array(bytes.prefix(count)), rankCount: 4) }
      }
    }
  }

  @Test("an offer that no transport could make is refused") func offers() throws {
    func decode(_ offers: [(name: String, bytes: Int)], count: Int? = nil) throws(MalformedMessage) -> [TransportOffer] {
      var member = Self.member
      member.facts.offers = []
      var encoder = WireEncoder()
      member.encode(into: &encoder)
      // Without offers, their count is the only one of four zeros behind what the process may do.
      var head = WireEncoder()
      head.put(UInt32(member.rank))
      member.encodeOwn(into: &head)
      head.put(member.process.namespace)
      member.host.encode(into: &head)
      member.abilities.encode(into: &head)
      var list = WireEncoder()
      list.put(UInt32(count ?? offers.count))
      for offer in offers {
        list.put(offer.name, bytesMax: 100)
        list.put(UInt32(offer.bytes))
        list.put(raw: [UInt8](repeating: 7, count: offer.bytes))
      }
      var decoder = WireDecoder(head.bytes + list.bytes + encoder.bytes.dropFirst(head.bytes.count + 4))
      return try MemberRecord(from: &decoder).facts.offers
    }
    let long = String(repeating: "n", count: TransportKind.nameBytesMax)
    let good = try decode([("a", 0), (long, TransportOffer.bytesMax)])
    #expect(good.map(\.kind.name) == ["a", long] && good[1].bytes.count == TransportOffer.bytesMax)
    #expect(throws: MalformedMessage("transport")) { try decode([("", 1)]) }
    #expect(throws: MalformedMessage("transport")) { try decode([(long + "n", 1)]) }
    #expect(throws: MalformedMessage("offer")) { try decode([("a", TransportOffer.bytesMax + 1)]) }
    #expect(throws: MalformedMessage("transports")) { try decode([], count: TransportOffer.countMax + 1) }
  }

  /// A request of which every part is as large as it may be is one that rank 0 reads.
  @Test func largestRequestFits() throws {
    let text = { String(repeating: "n", count: $0) }
    let offer = TransportOffer(
      TransportKind(text(TransportKind.nameBytesMax)), [UInt8](repeating: 1, count: TransportOffer.bytesMax))
    var member = Self.member
    let host = text(HostIdentity.textBytesMax)
    member.facts = RankFacts(
      rank: 1, process: member.process, host: HostIdentity(name: host, identity: host),
      abilities: HostAbilities(memoryObstacle: text(128), watchObstacle: text(128), user: 7, userNamespace: 8),
      offers: Array(repeating: offer, count: TransportOffer.countMax))
    member.addresses = Array(repeating: .ipv6(1, 2, port: 3), count: MemberRecord.addressesMax)
    member.processors = ProcessorAllowance(
      inherited: ProcessorSet(words: [UInt64](repeating: .max, count: ProcessorSet.wordsMax)), quota: member.processors.quota
    )
    member.note = [UInt8](repeating: 3, count: MemberRecord.requestNoteBytesMax)
    let settings = (0..<JoinRequest.settingsMax).map { index in
      (String(text(JoinRequest.settingBytesMax).dropLast(2)) + String(10 + index), text(JoinRequest.settingBytesMax))
    }
    let request = JoinRequest(
      rankCount: 4, member: member, settings: Dictionary(uniqueKeysWithValues: settings), patienceMilliseconds: 99)
    let bytes = RendezvousMessage.request(request).bytes
    #expect(bytes.count <= RendezvousMessage.requestBytesMax, "\(bytes.count) bytes")
    #expect(try RendezvousMessage(bytes).bytes == bytes)
  }

  @Test func ranksOutsideTheGroupAreRefused() {
    #expect(throws: MalformedMessage.self) {
      try ControlMessage(ControlMessage.question(id: 1, asker: 1, target: 4, operationNumber: 0).bytes, rankCount: 4)
    }
  }

  /// Random bytes, and good messages with bytes changed, never trap; what decodes encodes again.
  @Test func decodersSurviveAnything() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let good = Self.rendezvousMessages.map(\.bytes) + Self.controlMessages.map(\.bytes)
    for _ in 0..<50_000 {
      var bytes = generator.bytes(Int.random(in: 0..<200, using: &generator))
      if Bool.random(using: &generator) {
        bytes = good.randomElement(using: &generator)!
        for _ in 0..<Int.random(in: 1..<4, using: &generator) {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
        }
      }
      if let message = try? RendezvousMessage(bytes) { #expect(message.bytes.count > 0, "seed \(seed)") }
      if let message = try? ControlMessage(bytes, rankCount: 4) {
        #expect(message.bytes.count <= ControlMessage.bytesMax, "seed \(seed)")
      }
    }
  }

  @Test func textsAreCutAtCharacters() throws {
    var encoder = WireEncoder()
    encoder.put("añb", bytesMax: 2)
    var decoder = WireDecoder(encoder.bytes)
    #expect(try decoder.takeText(bytesMax: 2, "text") == "a")
  }

  @Test func treesAreConsistent() {
    for rankCount in 1...40 {
      let tree = ControlTree(rankCount: rankCount)
      for rank in 0..<rankCount {
        for child in tree.children(of: rank) { #expect(tree.parent(of: child) == rank) }
        for target in 0..<rankCount {
          let path = tree.path(from: rank, to: target)
          #expect(path.last == (rank == target ? nil : target))
          var here = rank
          for next in path {
            #expect(tree.neighbours(of: here).contains(next))
            #expect(tree.nextHop(from: here, to: target) == next)
            here = next
          }
          #expect(Set(path).count == path.count)
        }
      }
    }
  }
}
