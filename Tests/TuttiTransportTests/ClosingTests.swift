import Synchronization
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiSharedMemory

/// Ending many links at once: what peers that do not respond may cost, all together.
@Suite(.serialized) struct ClosingTests {
  /// A link whose peer does not respond, or only after it was asked some times.
  private final class SlowLink: Link {
    private var patience: Int
    private(set) var isWound = false

    /// - Parameter patience: How often it says no; -1 for ever.
    init(peer: Int, patience: Int) {
      self.patience = patience
      super.init(peer: peer, transport: .inProcess, segmentBytesMax: 8, needsProgress: false)
    }

    private func answer() -> Bool {
      if patience < 0 { return false }
      patience -= 1
      if patience < 0 { patience = 0 }
      return patience == 0
    }

    override func windDown() -> Bool {
      isWound = answer()
      return isWound
    }
    override func hasClosed() -> Bool { answer() }
  }

  private func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = monotonicNanoseconds()
    try body()
    return Double(monotonicNanoseconds() - start) / 1e9
  }

  @Test("40 peers that do not respond cost no more than one")
  func manyUnresponsive() {
    let links = (0..<40).map { SlowLink(peer: $0, patience: -1) }
    // One second to wind down and a half to close, whatever their number; one after the other it would be a minute.
    #expect(seconds { Link.close(links) } < 6)
    #expect(seconds { Link.close(links) } < 0.5, "closing again waits for nobody")
  }

  @Test("a peer that responds is not given up because others do not")
  func oneResponds() {
    let responsive = SlowLink(peer: 99, patience: 50)
    Link.close((0..<10).map { SlowLink(peer: $0, patience: -1) } + [responsive])
    #expect(responsive.isWound)
  }

  @Test("writers that were stopped in the middle cost no more than one")
  func manyWriters() throws {
    var writers: [Link] = []
    var owners: [Link] = []
    var arenas: [RegisteredMemory] = []
    for _ in 0..<20 {
      let pair = try RegisteredMemoryTests.Pair()
      arenas += pair.arenas
      let memory = try pair.arenas[1].allocate(bytes: 1 << 20)
      pair.links[1].grant(0, 0, pair.arenas[1].offset(of: memory), 20_000)
      #expect(pair.links[0].placement(0, 20_000) != nil)
      writers.append(pair.links[0])
      owners.append(pair.links[1])
    }
    // A tenth of a second for all; one after the other it would be two.
    #expect(seconds { Link.revoke(owners) } < 1)
    for link in owners + writers { link.close() }
  }

  @Test("a link that overrides nothing carries nothing, and says so instead of trapping")
  func bareLink() {
    let link = Link(peer: 7, transport: TransportKind("bare"), segmentBytesMax: 100, needsProgress: true)
    link.progress()
    #expect(!link.canSend(0) && link.peek(0) == nil && !link.hasArrival(0) && link.released(0) == 0)
    var byte: UInt8 = 1
    #expect(link.send(0, CallSignature(rawValue: 1), 1, &byte, 1, copied: true) == 0)
    #expect(link.status.pointee.failed && link.failure?.transport == "bare" && link.failure?.peer == 7)
    #expect(link.failure?.message.contains("send") == true, "\(link.failure?.description ?? "")")
    link.close()
  }
}
