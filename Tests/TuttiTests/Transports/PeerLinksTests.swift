import Testing
import TuttiSystem
import TuttiTransport

@testable import Tutti

/// Links that were taken from one transport's end survive the failure of another one's.
@Suite struct PeerLinksTests {
  /// An end that has some links, and fails after them.
  private final class StubEnd: TransportEnd, @unchecked Sendable {
    // @unchecked: one thread uses it.
    private var links: [Link]
    private let failure: FailureReport?

    init(_ links: [Link], failure: FailureReport? = nil) { (self.links, self.failure) = (links, failure) }

    func start(_ doorbell: Doorbell) {}
    func dial(
      _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
    ) throws(FailureReport) {}
    func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport) {}
    func close() {}

    func takeLinks(into links: inout [Link]) throws(FailureReport) {
      links += self.links
      self.links = []
      if let failure { throw failure }
    }
  }

  @Test("whichever end fails, all links that were taken are handed on, still open", arguments: [0, 1, 2])
  func failingEnd(failing: Int) throws {
    let pairs = try (1...3).map { peer in
      try InProcessLink.makePair(
        rankA: 0, rankB: peer, doorbells: (Doorbell(), Doorbell()), segmentBytesMax: 4096, kind: .inProcess)
    }
    let failure = FailureReport(.transport, rank: 0, peer: failing + 1, "the link could not be opened")
    var result: (links: [Link], failure: FailureReport?) = ([], nil)
    do {
      let ends = pairs.indices.map { StubEnd([pairs[$0].0], failure: $0 == failing ? failure : nil) }
      result = PeerLinks.takeLinks(of: ends)
    }
    #expect(result.failure === failure)
    #expect(result.links.map(\.peer) == [1, 2, 3])
    for (_, far) in pairs {
      far.progress()
      _ = far.peek(0)
      #expect(!far.status.pointee.failed, "the link was closed")
    }
    Link.close(result.links)
  }

  @Test("the first failure counts")
  func firstFailure() {
    let failures = (1...2).map { FailureReport(.transport, rank: 0, peer: $0, "the link could not be opened") }
    let result = PeerLinks.takeLinks(of: failures.map { StubEnd([], failure: $0) })
    #expect(result.links.isEmpty && result.failure === failures[0])
  }
}
