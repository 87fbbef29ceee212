import FifthTransport
import Testing
import TuttiSystem
import TuttiTesting
import TuttiTopology
import TuttiTransport

@testable import Tutti

/// Which transports ranks join with where TLS is asked for.
@Suite(.serialized) struct EncryptedTransportTests {
  private static let open = FifthTransport(medium: .rdma, isConfidential: false)

  private static func offered(_ transport: TransportChoice, tls: Bool) throws -> OfferedTransports {
    var options = CommunicatorOptions()
    options.transports = [open] + options.transports.filter { $0.kind.name != "rdma" }
    options.transport = transport
    options.tls = tls
    return try OfferedTransports(options, TransportRequest(environment: [:], rank: 0, rankCount: 3))
  }

  /// Ranks 0 and 1 on one host, rank 2 on another; or all on one.
  private static func choice(_ rank: Int, _ offered: OfferedTransports, hosts: [String]) -> LinkChoice {
    let ranks = hosts.enumerated().map { rank, host in
      RankFacts(
        rank: rank, process: ProcessIdentity(pid: Int32(100 + rank), startTime: 1, namespace: 1),
        host: HostIdentity(name: "host-\(host)", identity: "\(host)/1"),
        abilities: HostAbilities(user: 0, userNamespace: 1), offers: offered.offers)
    }
    return LinkChoice(rank: rank, ranks: ranks, transports: offered.transports, isNamed: false)
  }

  @Test("a transport that is never encrypted is refused by name")
  func named() throws {
    let name = TransportChoice(FifthTransport.kind)
    #expect(try Self.offered(name, tls: false).transports.map(\.kind.name) == ["fifth"])
    let error = #expect(throws: FailureReport.self) { try Self.offered(name, tls: true) }
    #expect(error?.code == .configuration && error?.message.contains("fifth is never encrypted") == true)
  }

  @Test("auto does without it, and the first rank of each host says so where there are several hosts")
  func auto() throws {
    let plain = try Self.offered(.auto, tls: false)
    #expect(plain.transports.map(\.kind.name) == ["shm", "fifth", "tcp"])
    let encrypted = try Self.offered(.auto, tls: true)
    #expect(encrypted.transports.map(\.kind.name) == ["shm", "tcp"])
    func notices(_ offered: OfferedTransports, _ hosts: [String]) -> [Int] {
      hosts.indices.map { rank in
        offered.notices(Self.choice(rank, offered, hosts: hosts)).count { $0.contains("and not fifth") }
      }
    }
    #expect(notices(encrypted, ["a", "a", "b"]) == [1, 0, 1])
    #expect(notices(encrypted, ["a", "a", "a"]) == [0, 0, 0])
    #expect(notices(plain, ["a", "a", "b"]) == [0, 0, 0])
  }

  @Test("ranks join, compute and split with TLS", arguments: [1, 2, 4])
  func everything(_ rankCount: Int) throws {
    var options = CommunicatorOptions()
    options.tls = true
    try TuttiTesting.withRanks(rankCount, over: .tcp, options: options) { communicator in
      #expect(communicator.isEncrypted)
      for count in [1, 1000, 300_000] {
        var values = (0..<count).map { Int64($0 + communicator.rank) }
        try communicator.allReduce(&values, .sum)
        #expect(values == (0..<count).map { Int64($0 * rankCount + rankCount * (rankCount - 1) / 2) })
      }
      let part = try #require(try communicator.split(color: 0))
      #expect(part.isEncrypted)
      var ranks = [Int64(1)]
      try part.allReduce(&ranks, .sum)
      #expect(ranks == [Int64(rankCount)])
      part.close()
    }
  }
}
