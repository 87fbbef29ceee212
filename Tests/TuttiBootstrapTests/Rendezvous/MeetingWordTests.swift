import Testing
import TuttiSystem
import TuttiTransport
import TuttiTopology

@testable import TuttiBootstrap

/// What travels while ranks meet: the word in the store, tables of many ranks, failures with their causes.
@Suite struct MeetingWordTests {
  static func point(_ addresses: Int, secret: Int = 32) -> MeetingPoint {
    MeetingPoint(
      number: .random(),
      addresses: (0..<addresses).map { $0 % 2 == 0 ? .ipv4(UInt32($0), port: 9) : .ipv6(1, UInt64($0), port: 9) },
      unixName: String(repeating: "u", count: 107), secret: [UInt8](repeating: 7, count: secret))
  }

  @Test func pointsSurviveTheTrip() throws {
    for (addresses, secret) in [(0, 0), (1, 32), (8, 32), (12, 0)] {
      let point = Self.point(addresses, secret: secret)
      let value = MeetingWord.point(point).bytes()
      guard case .point(let found) = try MeetingWord(value) else { throw FailureReport.missing }
      #expect(found == point)
    }
  }

  @Test func everyValueFitsAndIsOneWord() throws {
    let long = FailureReport(
      .resources, rank: 0, String(repeating: "why ", count: 500), advice: String(repeating: "do ", count: 500))
    for value in [MeetingWord.point(Self.point(500)).bytes(), MeetingWord.refusal(long).bytes()] {
      #expect(value.count <= RendezvousLimits.valueBytesMax)
      #expect(value.allSatisfy { (0x30...0x3A).contains($0) || (0x61...0x7A).contains($0) })
      _ = try MeetingWord(value)
    }
    // A list that is cut keeps the best.
    guard case .point(let cut) = try MeetingWord(MeetingWord.point(Self.point(500)).bytes()) else {
      throw FailureReport.missing
    }
    #expect(cut.addresses.count > 12 && cut.addresses[0] == .ipv4(0, port: 9))
  }

  @Test func refusalsKeepTheirCause() throws {
    let report = FailureReport(.configuration, rank: 0, "no such interface", advice: "name another", systemError: 19)
    guard case .refusal(let found) = try MeetingWord(MeetingWord.refusal(report).bytes()) else {
      throw FailureReport.missing
    }
    #expect(found.code == .configuration && found.message == report.message && found.advice == report.advice)
    #expect(found.systemError == 19 && found.rank == 0)
  }

  @Test func anythingElseIsUnreadable() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let value = MeetingWord.point(Self.point(3)).bytes()
    for _ in 0..<2000 {
      var damaged = value
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: damaged[Int.random(in: damaged.indices, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: damaged.removeLast(Int.random(in: 1...damaged.count, using: &generator))
      case 2: damaged += generator.bytes(Int.random(in: 1...2000, using: &generator))
      default: damaged = generator.bytes(Int.random(in: 0...2000, using: &generator))
      }
      #expect(throws: MeetingWord.Flaw.unreadable, "seed \(seed)") { _ = try MeetingWord(damaged) }
    }
    #expect(throws: MeetingWord.Flaw.version(77)) {
      _ = try MeetingWord(MeetingWord.point(Self.point(1)).bytes(version: 77))
    }
  }

  @Test func namesOfCommunicators() {
    #expect(MeetingPlace.key("main") == "tutti-main" && MeetingPlace.key("a/B.c_d-9") == "tutti-a/B.c_d-9")
    for name in ["", "a b", "a=b", "ä", String(repeating: "x", count: 59)] { #expect(MeetingPlace.key(name) == nil) }
  }

  // MARK: Tables

  @Test func aTableOfAllRanksSurvivesTheTrip() throws {
    let rankCount = 65_536
    let address = SocketAddress.ipv6(0xFD00_0000_0000_0001, 2, port: 40_000)
    let record = MemberRecord(
      facts: RankFacts(rank: 0, process: .current(), host: .current(), abilities: .current(), offers: testOffers),
      addresses: [SocketAddress](repeating: address, count: 8), listenerNumber: .random(), processors: .current())
    let members = (0..<rankCount).map { rank in
      var member = record
      member.rank = rank
      member.listenerNumber = CommunicatorID(high: UInt64(rank), low: 1)
      // Two hosts, whose ranks take turns.
      member.host = HostIdentity(name: record.host.name, identity: record.host.identity + "\(rank % 2)")
      return member
    }
    let bytes = RendezvousMessage.table(members).bytes
    // What the ranks of a host have in common is there once for each host.
    #expect(bytes.count < rankCount * MemberTable.rowBytes + 2048, "\(bytes.count) bytes")
    guard case .table(let found) = try RendezvousMessage(bytes) else { throw FailureReport.missing }
    #expect(found == members)
    // A row that has nothing in common with anybody: the first row follows the number of rows.
    var row = bytes
    let start = bytes.count - rankCount * MemberTable.rowBytes
    row.replaceSubrange(start..<start + 4, with: [2, 0, 0, 0])
    #expect(throws: MalformedMessage("common")) { _ = try RendezvousMessage(row) }
    // A count that the bytes have no room for is refused before anything is made for it.
    var hostile = Array(bytes.prefix(1 + 4))
    hostile.replaceSubrange(1..<5, with: [0xFF, 0xFF, 0xFF, 0x7F])
    #expect(throws: MalformedMessage.self) { _ = try RendezvousMessage(hostile) }
  }

  // MARK: Causes

  @Test func causesTravelBounded() throws {
    var report = FailureReport(.transport, rank: 9, "the innermost")
    for level in 0..<5 {
      report = FailureReport(
        .rendezvous, rank: level, peer: 1, String(repeating: "m", count: 2000), advice: String(repeating: "a", count: 2000),
        operation: String(repeating: "o", count: 2000), transport: String(repeating: "t", count: 2000), systemError: 5,
        cause: report)
    }
    var encoder = WireEncoder()
    report.encode(into: &encoder)
    #expect(encoder.bytes.count + 16 <= ControlMessage.bytesMax)
    var decoder = WireDecoder(encoder.bytes)
    let found = try FailureReport.decode(from: &decoder)
    try decoder.finish("report")
    #expect(found.cause?.rank == 3 && found.cause?.cause?.rank == 2 && found.cause?.cause?.cause == nil)
    #expect(found.cause?.systemError == 5 && found.cause?.code == .rendezvous)
  }

  @Test func copiesKeepWhatIsNotReplaced() {
    let cause = FailureReport(.transport, "why")
    let report = FailureReport(
      .timeout, rank: 1, peer: 2, "what", advice: "do", operation: "barrier", operationNumber: 3, step: 4, transport: "tcp",
      systemError: 5, cause: cause)
    let copy = report.with(rank: 7, message: "else")
    #expect(copy.code == .timeout && copy.rank == 7 && copy.peer == 2 && copy.message == "else" && copy.advice == "do")
    #expect(copy.operation == "barrier" && copy.operationNumber == 3 && copy.step == 4 && copy.transport == "tcp")
    #expect(copy.systemError == 5 && copy.cause === cause)
    #expect(report.observed(by: 9) === report)
    #expect(FailureReport(.timeout, "x").observed(by: 9).rank == 9)
    #expect(copy.description.hasSuffix("do. Cause: why"))
  }

  @Test func rankLists() {
    #expect(rankListText([2]) == "rank 2" && rankListText([2, 5, 7]) == "ranks 2, 5 and 7")
    #expect(rankListText([0, 1]) == "ranks 0 and 1" && rankListText([0, 1, 2, 3, 4, 5, 8]) == "ranks 0-5 and 8")
    #expect(rankListText(Array(stride(from: 0, to: 80, by: 2))).hasSuffix("28, 30 and 24 more"))
    #expect(rankListText([]) == "ranks ?")
  }
}
