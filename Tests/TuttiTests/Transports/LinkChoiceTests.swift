import TuttiSystem
import TuttiTopology
import Testing
import TuttiSchedule
import TuttiTransport

@testable import Tutti
@testable import TuttiRDMA

/// Which transport connects whom, decided on made-up tables of ranks.
@Suite struct LinkChoiceTests {
  private static let rdma = RDMATransport.kind

  /// Ranks by host and rails: `a 10.1.0.7/24` is a rank on host a with that rail; `b -` one without; `c ib 10.1.0.7/24` one
  /// on InfiniBand.
  static func ranks(_ texts: [String], _ choice: TransportChoice = .auto) -> [RankFacts] {
    texts.enumerated().map { rank, text in
      let words = text.split(separator: " ").map(String.init)
      let layer: Rail.LinkLayer = words.contains("ib") ? .infiniband : .ethernet
      let rails = words.dropFirst().filter { $0.contains("/") }.enumerated().map { rail($1, "rxe\($0)", layer) }
      let obstacle = rails.isEmpty ? words.contains("forbidden") ? "no permission" : "no RDMA device" : ""
      let offers = transports(choice).map { transport in
        switch transport.kind.name {
        case "rdma": TransportOffer(transport.kind, RDMAOffer(rails: rails, obstacle: obstacle).bytes)
        default: TransportOffer(transport.kind, Array(repeating: 0, count: 8))
        }
      }
      return RankFacts(
        rank: rank, process: ProcessIdentity(pid: Int32(100 + rank), startTime: 1, namespace: 1),
        host: HostIdentity(name: "host-\(words[0])", identity: "\(words[0])/1"),
        abilities: HostAbilities(
          memoryObstacle: words.contains("sandboxed") ? "memfd_create: no" : "", user: 0, userNamespace: 1),
        offers: offers)
    }
  }

  private static func transports(_ choice: TransportChoice) -> [any Transport] {
    var options = CommunicatorOptions()
    options.transport = choice
    return OfferedTransports.choose(options)
  }

  private static func choice(_ rank: Int, _ ranks: [RankFacts], _ choice: TransportChoice) -> LinkChoice {
    LinkChoice(rank: rank, ranks: ranks, transports: transports(choice), isNamed: choice != .auto)
  }

  /// `10.1.0.7/24`, or IPv6 as sixteen numbers.
  private static func rail(_ text: String, _ device: String, _ layer: Rail.LinkLayer) -> Rail {
    let parts = text.split(separator: "/")
    return Rail(
      device: device, port: 1, linkLayer: layer, address: parts[0].split(separator: ".").map { UInt8($0)! },
      prefixLength: UInt8(parts[1])!)
  }

  private static func choices(_ ranks: [RankFacts], _ choice: TransportChoice = .auto) -> [LinkChoice] {
    ranks.indices.map { Self.choice($0, ranks, choice) }
  }

  /// A letter for each pair, a row for each rank: shared memory, RDMA, TCP.
  private static func table(_ members: [RankFacts], _ choice: TransportChoice = .auto) -> [String] {
    choices(members, choice).map { choice in
      members.indices.map { peer in
        if peer == choice.rank { return "." }
        return choice.transport(to: peer).map { String($0.kind.name.prefix(1)) } ?? "-"
      }.joined()
    }
  }

  static let mixed = ["a 10.1.0.1/24", "a 10.1.0.1/24", "b 10.1.0.2/24", "b 10.1.0.2/24", "c -", "d 10.2.0.1/24"]

  // MARK: Who talks over what

  @Test("memory inside hosts, RDMA where a subnet is shared, TCP elsewhere") func automatic() {
    let members = Self.ranks(Self.mixed)
    #expect(Self.table(members) == [".srrtt", "s.rrtt", "rr.stt", "rrs.tt", "tttt.t", "ttttt."])
    let choices = Self.choices(members)
    #expect(choices.map { !$0.peers(over: Self.rdma).isEmpty } == [true, true, true, true, false, false])
    #expect(choices.allSatisfy { $0.isUsed(Self.rdma) && $0.medium == .network })
    #expect(choices.allSatisfy { $0.firstPair(beyond: Self.rdma) ?? (9, 9) == (0, 4) })
    for choice in choices { #expect(throws: Never.self) { try OfferedTransports.checkLinks(choice) } }
  }

  @Test("hosts that RDMA connects are a medium of their own") func media() {
    func medium(_ texts: [String], _ choice: TransportChoice = .auto) -> Medium {
      Self.choice(0, Self.ranks(texts, choice), choice).medium
    }
    #expect(medium(Array(Self.mixed.prefix(4))) == .rdma)
    #expect(medium(Array(Self.mixed.prefix(2))) == .sharedMemory)
    #expect(medium(Array(Self.mixed.prefix(2)), .rdma) == .rdma)
    #expect(medium(Array(Self.mixed.prefix(4)), .tcp) == .network)
    #expect(medium(["a -", "a -"], .tcp) == .loopback && medium(["a -"]) == .loopback)
    #expect(medium(["a - sandboxed", "a -"]) == .loopback && medium(["a 10.1.0.1/24 sandboxed", "a 10.1.0.1/24"]) == .rdma)
  }

  @Test("several rails: one pair on one subnet is enough") func severalRails() {
    let members = Self.ranks(["a 10.1.0.1/24 10.2.0.1/24", "b 10.3.0.1/24 10.2.0.9/24", "c 10.3.0.2/24"])
    #expect(Self.table(members) == [".rt", "r.r", "tr."])
    #expect(Self.choices(members)[2].firstPair(beyond: Self.rdma) ?? (9, 9) == (0, 2))
  }

  @Test("asked for by name, routers may be between, and one host's ranks use the device as well") func byName() throws {
    let members = Self.ranks(["a 10.1.0.1/24", "a 10.1.0.1/24", "b 10.2.0.2/16"], .rdma)
    #expect(Self.table(members, .rdma) == [".rr", "r.r", "rr."])
    for choice in Self.choices(members, .rdma) { try OfferedTransports.checkLinks(choice) }
    #expect(Self.table(Self.ranks(Self.mixed, .tcp), .tcp).allSatisfy { $0.allSatisfy { "t.".contains($0) } })
    #expect(!Self.choices(Self.ranks(Self.mixed, .tcp), .tcp)[0].isUsed(Self.rdma))
  }

  @Test("asked for and impossible: all ranks say the same of the same rank") func refusals() throws {
    let cases: [(texts: [String], peer: Int, words: [String])] = [
      (
        ["a 10.1.0.1/24", "b 10.1.0.2/24", "c -"], 2,
        ["rank 2 (pid 102 on host-c) cannot use it: no RDMA device", "collbench list"]
      ),
      (["a - forbidden", "b 10.1.0.2/24"], 0, ["rank 0 (pid 100 on host-a) cannot use it: no permission"]),
      (
        ["a 10.1.0.1/24", "b ib 10.1.0.2/24"], 1,
        ["rank 0 (pid 100 on host-a) with rxe0 port 1 (10.1.0.1) cannot reach rank 1", "TUTTI_RDMA_DEVICES"]
      ),
      (["a 10.1.0.1/24", "b 32.1.0.0.0.0.0.0.0.0.0.0.0.0.0.5/64"], 1, ["(2001::5)"]),
    ]
    for (texts, peer, words) in cases {
      let members = Self.ranks(texts, .rdma)
      for choice in Self.choices(members, .rdma) {
        let error = #expect(throws: FailureReport.self) { try OfferedTransports.checkLinks(choice) }
        #expect(error?.code == .configuration && error?.peer == peer && error?.rank == choice.rank)
        for word in words { #expect(error?.description.contains(word) == true, "\(word): \(error?.description ?? "")") }
      }
    }
    try OfferedTransports.checkLinks(Self.choice(0, Self.ranks(["a -"], .rdma), .rdma))
  }

  // MARK: Against pair by pair

  @Test("networks are equal exactly where rails reach each other") func networks() {
    let seed = testSeed("networks")
    var generator = SeededGenerator(seed: seed)
    func random() -> Rail {
      let isLong = Int.random(in: 0..<4, using: &generator) == 0
      let bits: UInt8 = isLong ? 64 : [0, 1, 7, 8, 9, 23, 24, 31, 32].randomElement(using: &generator)!
      return Rail(
        device: "d", port: 1, linkLayer: Rail.LinkLayer.allCases.randomElement(using: &generator)!,
        address: (0..<(isLong ? 16 : 4)).map { _ in UInt8([10, 10, 10, 138, 11].randomElement(using: &generator)!) },
        prefixLength: bits)
    }
    var reached = 0
    for _ in 0..<20_000 {
      let (one, other) = (random(), random())
      #expect((RailNetwork(one, .subnet) == RailNetwork(other, .subnet)) == one.sharesSubnet(with: other))
      #expect((RailNetwork(one, .routed) == RailNetwork(other, .routed)) == one.canRoute(to: other))
      reached += one.sharesSubnet(with: other) ? 1 : 0
    }
    #expect(reached > 100)
  }

  @Test("what is said of all ranks is what their pairs say, and a split changes no pair") func pairs() {
    let seed = testSeed("pairs")
    var generator = SeededGenerator(seed: seed)
    for round in 0..<500 {
      let count = Int.random(in: 1...9, using: &generator)
      let texts = (0..<count).map { _ in
        var words = [["a", "b", "c"].randomElement(using: &generator)!]
        for _ in 0..<Int.random(in: 0...2, using: &generator) {
          words.append("10.\(Int.random(in: 0...2, using: &generator)).0.1/\([16, 24].randomElement(using: &generator)!)")
        }
        if Int.random(in: 0..<5, using: &generator) == 0 { words.append("ib") }
        if Int.random(in: 0..<5, using: &generator) == 0 { words.append("sandboxed") }
        return words.joined(separator: " ")
      }
      let wanted: TransportChoice = round % 3 == 0 ? .rdma : .auto
      let members = Self.ranks(texts, wanted)
      let choices = Self.choices(members, wanted)
      var some = false
      var names: Set<String> = []
      var apart: (Int, Int)?
      for (low, high) in members.indices.flatMap({ low in (low..<count).dropFirst().map { (low, $0) } }) {
        let name = choices[low].transport(to: high)?.kind.name
        #expect(name == choices[high].transport(to: low)?.kind.name, "\(texts)")
        names.insert(name ?? "none")
        if name == "rdma" { some = true }
        if name == "tcp" || name == nil, apart == nil { apart = (low, high) }
      }
      #expect(choices[0].isUsed(Self.rdma) == some, "\(texts)")
      for transport in choices[0].transports {
        #expect(choices[0].isUsed(transport.kind) == names.contains(transport.kind.name), "\(transport.kind) \(texts)")
      }
      #expect(choices[0].firstPair(beyond: Self.rdma) ?? (-1, -1) == apart ?? (-1, -1), "\(texts)")
      let kept = members.indices.filter { _ in Bool.random(using: &generator) }
      guard kept.count > 1 else { continue }
      let child = Self.choice(
        0,
        kept.enumerated().map { number, rank in
          var facts = members[rank]
          facts.rank = number
          return facts
        }, wanted)
      for (number, rank) in kept.enumerated().dropFirst() {
        #expect(
          child.transport(to: number)?.kind == choices[kept[0]].transport(to: rank)?.kind, "\(texts)")
      }
    }
  }

  // MARK: Who says what

  private static func notices(_ texts: [String], _ choice: TransportChoice = .auto) -> [[String]] {
    let members = ranks(texts, choice)
    return choices(members, choice).map { RDMATransport().notices($0) }
  }

  @Test("falling back is said once, by the lowest rank that it concerns") func fallbacks() {
    let all = Self.notices(Self.mixed + ["c -", "e - forbidden"])
    #expect(all.map(\.count) == [1, 0, 0, 0, 1, 0, 0, 1])
    #expect(all[4][0].hasPrefix("ranks 4 and 6 cannot use RDMA (on host-c: no RDMA device) and will use TCP to other hosts"))
    #expect(all[7][0].hasPrefix("rank 7 cannot use RDMA (on host-e: no permission)"))
    #expect(all[0][0].contains("rank 5 (pid 105 on host-d) with rxe0 port 1 (10.2.0.1) are on different subnets"))
  }

  @Test("nothing is said where nothing is missed") func silence() {
    #expect(Self.notices(["a -", "b -"]).allSatisfy { $0.isEmpty })
    #expect(Self.notices(Array(Self.mixed.prefix(4))).allSatisfy { $0.isEmpty })
    #expect(Self.notices(["a 10.1.0.1/24", "a -"]).allSatisfy { $0.isEmpty })
    #expect(Self.notices(Self.mixed, .tcp).allSatisfy { $0.isEmpty })
    // One host alone has a device: its rank without one talks to nobody who has.
    #expect(Self.notices(["a 10.1.0.1/24", "a -", "b -"]).map(\.count) == [0, 0, 1])
  }

  // MARK: Algorithms

  @Test("the terms of RDMA choose an algorithm for everything") func policy() throws {
    for rankCount in [1, 2, 3, 8, 64] {
      let policy = AlgorithmPolicy(
        grouping: Grouping(rankCount: rankCount), medium: .rdma, processors: 8, segmentBytesMax: 256 << 10,
        catalog: try AlgorithmCatalog(CommunicatorOptions()))
      for collective in Collective.allCases {
        for bytes in [0, 8, 1 << 10, 64 << 10, 1 << 20, 64 << 20] as [UInt64] {
          let name = policy.algorithm(collective, bytes: bytes, hasUnequalBlocks: false, isOrdered: true)
          #expect(policy.catalog.algorithm(collective, named: name) != nil, "\(collective) \(bytes): \(name)")
        }
      }
    }
  }
}
