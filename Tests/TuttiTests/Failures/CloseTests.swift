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
}
