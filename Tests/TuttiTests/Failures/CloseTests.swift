import Foundation
import Patience
import Testing
import TuttiTransport

@testable import Tutti

/// A rank that is done closes at once, whatever the others still have to read: what it sent arrives.
@Suite(.serialized) struct CloseTests {
  /// The root of a broadcast is done when the last of its data is on its way.
  @Test(arguments: Fabric.allCases)
  func theRootClosesFirst(fabric: Fabric) throws {
    for round in 0..<10 {
      try withRanks(3, fabric) { communicator in
        var data = [Float](repeating: communicator.rank == 0 ? Float(round) : -1, count: 1 << 20)
        try communicator.broadcast(&data, root: 0)
        guard data.allSatisfy({ $0 == Float(round) }) else { throw WrongResult(description: "other data than the root's") }
      }
    }
  }

  @Test(arguments: Fabric.allCases)
  func aSenderClosesBeforeItsReceiverLooks(fabric: Fabric) throws {
    for count in [1, 1000, 300_000, 3 << 20] {
      try withRanks(2, fabric) { communicator in
        var data = [Float](repeating: communicator.rank == 0 ? 3 : -1, count: count)
        // Both links are open, so that the sender need not wait for the receiver's call.
        try communicator.barrier()
        if communicator.rank == 0 {
          try communicator.send(data, to: 1)
        } else {
          try communicator.receive(into: &data, from: 0)
          guard data.allSatisfy({ $0 == 3 }) else { throw WrongResult(description: "other data than was sent") }
        }
      }
    }
  }

  /// Parts and the communicator that they are made from close with no call between.
  @Test(arguments: Fabric.allCases)
  func partsAndWholeCloseAtOnce(fabric: Fabric) throws {
    for _ in 0..<20 {
      try withRanks(4, fabric) { communicator in
        guard let part = try communicator.split(color: communicator.rank % 2) else { throw WrongResult(description: "nil") }
        var one: [Int64] = [1]
        try part.allReduce(&one, .sum)
        part.close()
        if one != [2] { throw WrongResult(description: "\(one)") }
      }
    }
  }

  /// What a rank does that waits for one which closes.
  enum Wait: String, CaseIterable, Sendable {
    case receive, send, tagged, any, anyStarted

    func call(_ communicator: Communicator, with peer: Int) throws(TuttiError) {
      // Too large to be sent before the other has called.
      let values = TuttiBuffer<Float>(count: 1 << 20, repeating: 1)
      switch self {
      case .receive: try communicator.receive(into: values, from: peer)
      case .send: try communicator.send(values, to: peer)
      case .tagged: try communicator.receive(into: values, from: .rank(peer), tag: 1)
      case .any: try communicator.receive(into: values, from: .any, tag: 1)
      case .anyStarted: try communicator.startReceive(into: values, from: .any, tag: 1).work.wait()
      }
    }
  }

  /// A rank that waits for one which has closed is told soon, whether there is a link between the two or there never will
  /// be; one that receives from any rank, when all have.
  @Test(arguments: Fabric.allCases, Wait.allCases)
  func whoWaitsForOneThatClosesIsTold(fabric: Fabric, wait: Wait) throws {
    for isWarm in [false, true] {
      let communicators = try makeCommunicators(3, fabric, timeout: .seconds(60 * slowness))
      let start = ContinuousClock.now
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        if isWarm { try communicator.barrier(algorithm: "direct") }
        if communicator.rank > 0 { return communicator.close() }
        try wait.call(communicator, with: 2)
      }
      let error = try #require(ended[0].error)
      #expect(error.code == .peerLost, "\(error)")
      #expect(ended[0].time - start < .seconds(4 * slowness), "told after \(ended[0].time - start)")
      communicators[0].close()
    }
  }

  /// A receive from any rank goes on when one of them closes.
  @Test(arguments: Fabric.allCases, [false, true])
  func aRankClosesWhileAnyIsAwaited(fabric: Fabric, isWarm: Bool) throws {
    try withRanks(3, fabric) { communicator in
      if isWarm { try communicator.barrier(algorithm: "direct") }
      switch communicator.rank {
      case 0:
        var values = [Float](repeating: 0, count: 1000)
        let source = try communicator.receive(into: &values, from: .any, tag: 1)
        guard source == 2, values == .init(repeating: 2, count: 1000) else { throw WrongResult(description: "\(source)") }
      case 1: communicator.close()
      default:
        // Longer than it takes to be sure that a rank has gone.
        Thread.sleep(forTimeInterval: 1.8)
        try communicator.send([Float](repeating: 2, count: 1000), to: 0, tag: 1)
      }
    }
  }
}
