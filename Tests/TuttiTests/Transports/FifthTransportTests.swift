import FifthTransport
import Testing
import TuttiSystem
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// A transport that the library does not know: everything works over it that works over the others, and nothing but a list
/// names it.
@Suite(.serialized) struct FifthTransportTests {
  private static let choice = TransportChoice(FifthTransport.kind)

  private static func options(_ fifth: FifthTransport = FifthTransport(), first: Bool = false) -> CommunicatorOptions {
    var options = CommunicatorOptions()
    options.timeout = .seconds(60)
    options.transports = first ? [fifth] + options.transports : options.transports + [fifth]
    return options
  }

  @Test("ranks join, run collectives, exchange messages, split, and close", arguments: [1, 2, 4, 5])
  func everything(rankCount: Int) throws {
    try TuttiTesting.withRanks(rankCount, over: Self.choice, options: Self.options()) { communicator in
      let (rank, count) = (communicator.rank, communicator.rankCount)
      for elements in [1, 1000, 200_000] {
        var values = (0..<elements).map { Int64($0 + rank) }
        try communicator.allReduce(&values, .sum)
        #expect(values == (0..<elements).map { Int64($0 * count + count * (count - 1) / 2) })
        var copies = rank == 0 ? values : Array(repeating: 0, count: elements)
        try communicator.broadcast(&copies, root: 0)
        #expect(copies == values)
      }
      try communicator.barrier()
      #expect(communicator.lastOperation.transports == (count > 1 ? [Self.choice] : []))
      if count > 1 {
        var token = [Int64(rank)]
        let (next, previous) = ((rank + 1) % count, (rank + count - 1) % count)
        if rank % 2 == 0 {
          try communicator.send(token, to: next)
          try communicator.receive(into: &token, from: previous)
        } else {
          let own = token
          try communicator.receive(into: &token, from: previous)
          try communicator.send(own, to: next)
        }
        #expect(token == [Int64(previous)])
      }
      let part = try #require(try communicator.split(color: rank % 2))
      var ranks = [Int64(1)]
      try part.allReduce(&ranks, .sum)
      #expect(ranks == [Int64(part.rankCount)])
      part.close()
    }
  }

  @Test("auto prefers the quicker medium, and of equals the one that is first")
  func preference() throws {
    func used(_ options: CommunicatorOptions) throws -> String {
      try TuttiTesting.withRanks(2, over: .auto, options: options) { communicator in
        var value = [Float(1)]
        try communicator.allReduce(&value, .sum)
        return communicator.lastOperation.transports.description
      }[0]
    }
    #expect(try used(Self.options(first: true)) == "fifth")
    #expect(try used(Self.options()) == "shm")
    #expect(try used(Self.options(FifthTransport(medium: .network), first: true)) == "shm")
  }

  @Test("it is known where it was added, and nowhere else")
  func isNotBuiltIn() throws {
    #expect(TransportChoice(name: "fifth") == nil && !TransportChoice.allCases.contains(Self.choice))
    #expect(TransportChoice.allCases.map(\.name) == ["auto", "shm", "rdma", "tcp", "inprocess"])
    #expect(transportReports().map(\.name) == ["shm", "rdma", "tcp"])
    let error = #expect(throws: (any Error).self) {
      try TuttiTesting.withRanks(2, over: Self.choice) { _ in }
    }
    #expect("\(error!)".contains("there is no transport fifth"), "\(error!)")
  }

  @Test("what keeps two ranks apart is the transport's word, and all ranks say it of the same one")
  func refusal() {
    func rank(_ number: Int, _ process: UInt8) -> RankFacts {
      RankFacts(
        rank: number, process: ProcessIdentity(pid: Int32(number), startTime: 1, namespace: 1), host: .current(),
        abilities: HostAbilities(user: 0, userNamespace: 1),
        offers: [TransportOffer(FifthTransport.kind, Array(repeating: process, count: 8))])
    }
    let ranks = [rank(0, 1), rank(1, 1), rank(2, 2)]
    for own in ranks.indices {
      let choice = LinkChoice(rank: own, ranks: ranks, transports: [FifthTransport()], isNamed: true)
      let error = #expect(throws: FailureReport.self) { try OfferedTransports.checkLinks(choice) }
      #expect(error?.peer == 2 && error?.message.contains("rank 0") == true)
      #expect(choice.transport(to: (own + 1) % 3) == nil || own == 0)
    }
  }

  @Test("a dialer that is no process of this user gets no memory")
  func strangerAtTheDoor() throws {
    let communicators = try TuttiTesting.makeCommunicators(2, over: .sharedMemory, options: CommunicatorOptions())
    defer { communicators.forEach { $0.close() } }
    // A socket whose other end the kernel says nothing about.
    let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0))
    let address = try #require(Sockets.localAddress(listener.raw))
    let near = try Sockets.connect(to: address, deadline: Clock.deadline(seconds: 5)).get()
    let far = try Sockets.connect(to: address, deadline: Clock.deadline(seconds: 5)).get()
    communicators[0].member.accept(from: 1, TransportKind("shm"), Connection(near))
    communicators[0].member.accept(from: 1, TransportKind("tcp"), Connection(far))
    // Neither was taken for a link: the true one still can come.
    try onThreads(2) { rank in
      var value = [Float(1)]
      try communicators[rank].allReduce(&value, .sum)
      #expect(value == [2])
    }
  }
}
