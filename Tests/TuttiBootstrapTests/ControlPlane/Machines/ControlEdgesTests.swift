import Glibc
import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// What one rank's edges do with what comes and goes over them.
@Suite struct ControlEdgesTests {
  private let cause = FailureReport(.aborted, rank: 3, "the cause")

  /// Rank 1 of 8, whose neighbours are 0, 3 and 4.
  private func edges(_ peers: [Int] = [0, 3, 4]) -> (ControlEdges, [Int: MemoryChannel]) {
    var edges = ControlEdges(rank: 1, tree: ControlTree(rankCount: 8))
    var channels: [Int: MemoryChannel] = [:]
    for peer in peers {
      let channel = MemoryChannel()
      channels[peer] = channel
      let isAttached = edges.attach(channel, to: peer)
      #expect(isAttached)
    }
    return (edges, channels)
  }

  @Test func anEdgeIsMissingUntilItIsAttachedOnce() {
    var (edges, _) = edges([3])
    #expect(edges.missing == [0, 4])
    #expect(edges.attach(MemoryChannel(), to: 3) == false)
    #expect(edges.attach(MemoryChannel(), to: 0) && edges.missing == [4])
    edges.close()
    #expect(edges.attach(MemoryChannel(), to: 4) == false)
  }

  @Test func whatWasSentComesBeforeTheEnd() {
    var (edges, channels) = edges()
    channels[3]!.arrived = [
      ControlMessage.question(id: 1, asker: 3, target: 0, operationNumber: 2).bytes, ControlMessage.abort(cause).bytes,
    ]
    channels[3]!.state = .ended(ETIMEDOUT)
    let news = edges.read(3)
    guard news.count == 3, case .message(.question(1, 3, 0, 2), from: 3) = news[0],
      case .message(.abort(let heard), from: 3) = news[1], case .broken(peer: 3, ETIMEDOUT) = news[2]
    else {
      Issue.record("\(news)")
      return
    }
    #expect(heard.message == "the cause")
    #expect(channels[3]!.isClosed && edges.broken.map(\.peer) == [3] && edges.read(3).isEmpty)
    // It had an edge: there is none to wait for, and no other one is taken.
    #expect(edges.missing.isEmpty && !edges.attach(MemoryChannel(), to: 3))
  }

  @Test func nothingFollowsAGoodbye() {
    var (edges, channels) = edges()
    channels[0]!.arrived = [ControlMessage.goodbye.bytes, ControlMessage.abort(cause).bytes]
    channels[0]!.state = .ended(0)
    #expect(edges.read(0).isEmpty && edges.hasDeparted(0) && edges.broken.isEmpty && channels[0]!.isClosed)
  }

  @Test func whatCannotBeReadEndsItsEdge() {
    var (edges, channels) = edges()
    channels[4]!.arrived = [ControlMessage.abort(cause).bytes, [200], ControlMessage.goodbye.bytes]
    let news = edges.read(4)
    guard news.count == 2, case .broken(peer: 4, EBADMSG) = news[1] else {
      Issue.record("\(news)")
      return
    }
    channels[0]!.state = .malformed
    guard case .broken(peer: 0, EBADMSG)? = edges.read(0).first else {
      Issue.record("a frame that is none is not noticed")
      return
    }
  }

  @Test func aNeighbourThatNeverStopsIsLeftForOthers() {
    var (edges, channels) = edges()
    channels[3]!.isEndless = true
    #expect(edges.read(3).isEmpty && channels[3]!.fills == 4)
  }

  @Test func messagesTakeTheWayAlongTheTree() {
    let (edges, channels) = edges()
    let question = ControlMessage.question(id: 1, asker: 1, target: 7, operationNumber: 0)
    edges.route(question, to: 7)
    edges.route(question, to: 2)
    #expect(channels[3]!.onItsWay.count == 1 && channels[0]!.onItsWay.count == 1 && channels[4]!.onItsWay.isEmpty)
    edges.tell(.abort(cause), except: 3)
    #expect([0, 3, 4].map { channels[$0]!.messages(rankCount: 8).count } == [2, 1, 1])
  }

  /// Questions and answers may be lost; news of a failure may not.
  @Test func aNeighbourThatDoesNotReadGetsNoMoreQuestions() {
    let (edges, channels) = edges()
    channels[3]!.queuedBytes = 1 << 20
    edges.route(.question(id: 1, asker: 1, target: 7, operationNumber: 0), to: 7)
    #expect(channels[3]!.onItsWay.isEmpty && !edges.flush())
    edges.tell(.abort(cause), except: nil)
    #expect(channels[3]!.onItsWay.count == 1)
  }

  /// Whatever comes: a neighbour has a channel or an end, an end is news once, and what is closed is not read.
  @Test(arguments: machineSeeds(100))
  func anythingMayCome(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var (edges, channels) = edges()
    var endings: [Int: Int] = [:]
    for _ in 0..<60 {
      let peer = [0, 3, 4].randomElement(using: &generator)!
      let channel = channels[peer]!
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: channel.arrived.append(generator.bytes(Int.random(in: 0..<40, using: &generator)))
      case 1: channel.state = .ended(Int32.random(in: 0..<40, using: &generator))
      case 2: channel.arrived.append(ControlMessage.goodbye.bytes)
      case 3, 4: channel.arrived.append(ControlMessage.abort(cause).bytes)
      default:
        let wasClosed = channel.isClosed
        let news = edges.read(peer)
        #expect(!wasClosed || news.isEmpty, "seed \(seed)")
        for case .broken(let peer, _) in news { endings[peer, default: 0] += 1 }
        if !wasClosed, channel.isClosed { #expect(edges.hasDeparted(peer) || endings[peer] == 1, "seed \(seed)") }
      }
      #expect(endings.values.allSatisfy { $0 == 1 } && edges.missing.isEmpty, "seed \(seed)")
      #expect(edges.broken.map(\.peer) == endings.keys.sorted(), "seed \(seed)")
    }
  }
}
