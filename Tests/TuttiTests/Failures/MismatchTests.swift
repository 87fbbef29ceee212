import Foundation
import Patience
import Testing
import TuttiBootstrap
import TuttiSystem

@testable import Tutti

/// Ranks that disagree about the call they are in: all of them hear it, nobody's call ends well, and the error names both
/// calls.
@Suite(.serialized) struct MismatchTests {
  /// What the odd rank calls differently.
  enum Difference: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case count, emptiness, type, operation, algorithm, collective, order, links

    var testDescription: String { rawValue }

    /// What the odd rank's call is called in the message, and what the others' is.
    var names: (odd: String, others: String) {
      switch self {
      case .count: ("x 1001", "x 1000")
      case .emptiness: ("x 0", "x 1000")
      case .type: ("int32", "float32")
      case .operation: ("max", "sum")
      case .algorithm: ("ring", "recursive-doubling")
      case .collective: ("barrier", "all-reduce")
      case .order: ("max", "sum")
      case .links: ("linear", "one-shot")
      }
    }

    /// Whether the two calls need different links, so that ranks may wait for some that nobody opens, and have to ask.
    var needsOtherLinks: Bool { self == .emptiness || self == .links }

    func call(_ communicator: Communicator, odd: Bool) throws(TuttiError) {
      let memory = TuttiBuffer<Double>(count: 2000, repeating: 1)
      let base = UnsafeMutableRawPointer(memory.pointer.baseAddress!)
      var (count, type, operation, algorithm) = (1000, DataType.float32, ReduceOp.sum, String?.none)
      switch self {
      case .count: count = odd ? 1001 : 1000
      case .emptiness: count = odd ? 0 : 1000
      case .type: type = odd ? .int32 : .float32
      case .operation: operation = odd ? .max : .sum
      case .algorithm: algorithm = odd ? "ring" : "recursive-doubling"
      case .collective: if odd { return try communicator.barrier() }
      case .order:
        let operations: [ReduceOp] = odd ? [.max, .sum] : [.sum, .max]
        for operation in operations {
          try communicator.allReduce(RawMemory(base, count: count, type: type), operation)
        }
        return
      case .links: algorithm = odd ? "linear" : "one-shot"
      }
      try communicator.allReduce(RawMemory(base, count: count, type: type), operation, algorithm: AlgorithmName(algorithm))
    }
  }

  @Test(arguments: Fabric.allCases, Difference.allCases)
  func everyRankHears(fabric: Fabric, difference: Difference) throws {
    for (rankCount, odd, isWarm) in [(2, 0, false), (3, 1, true), (5, 4, false), (8, 3, true)] {
      let communicators = try makeCommunicators(rankCount, fabric, timeout: .seconds(20))
      let start = ContinuousClock.now
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        if isWarm { try communicator.barrier() }
        try difference.call(communicator, odd: communicator.rank == odd)
      }
      for (rank, ending) in ended.enumerated() {
        let error = try #require(ending.error, "rank \(rank)'s call ended well")
        #expect(error.code == .mismatch, "\(rankCount) ranks, rank \(rank): \(error)")
        let limit = (difference.needsOtherLinks ? 3 : 1) * slowness
        #expect(ending.time - start < .seconds(limit), "rank \(rank) heard after \(ending.time - start)")
        // Two ranks may find out at the same moment, so the messages need not be equal.
        #expect(error.message.contains(difference.names.odd) && error.message.contains(difference.names.others), "\(error)")
        #expect(error.message.contains("rank \(odd)"), "\(error)")
        #expect(error.operationNumber == (isWarm ? 2 : 1) && !error.advice.isEmpty)
        expectReadable(error)
      }
      communicators.forEach { $0.close() }
    }
  }

  /// Each rank takes the next one for the root: all receive, and nobody sends anything.
  @Test(arguments: Fabric.allCases, [false, true])
  func everyoneReceives(fabric: Fabric, isStarted: Bool) throws {
    let rankCount = 5
    let communicators = try makeCommunicators(rankCount, fabric, timeout: .seconds(60 * slowness))
    let start = ContinuousClock.now
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let values = TuttiBuffer<Float>(count: 100, repeating: 1)
      let root = (communicator.rank + 1) % rankCount
      if isStarted { return try communicator.startBroadcast(values, root: root).wait() }
      try communicator.broadcast(values, root: root)
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .mismatch && ending.time - start < .seconds(3 * slowness), "\(error)")
      #expect(error.message.components(separatedBy: ", root ").count == 3, "\(error)")
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  /// A rank that is late is no mismatch, however often it is asked.
  @Test(arguments: Fabric.allCases)
  func aLateRankIsWaitedFor(fabric: Fabric) throws {
    let communicators = try makeCommunicators(4, fabric, timeout: .seconds(60 * slowness))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      // An earlier call of the same communicator is no mismatch either.
      for late in [2, 3] {
        if communicator.rank == late { Thread.sleep(forTimeInterval: 1.8) }
        let values = TuttiBuffer<Float>(count: 100, repeating: 1)
        try communicator.broadcast(values, root: late)
        try communicator.allReduce(values, .sum)
        guard values[99] == 4 else { throw TuttiError(FailureReport(.unproven, "wrong sum")) }
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// The details of the other's call are asked for; without an answer, the error says what came with the data.
  @Test func silentPeerIsSaidToBeSilent() throws {
    let communicators = try makeCommunicators(2, .inProcess, timeout: .seconds(20))
    for communicator in communicators {
      try #require(communicator.member.controlPlane as? InProcessControlPlane).freeze()
    }
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      var values = [Float](repeating: 1, count: communicator.rank == 0 ? 1000 : 1001)
      try communicator.allReduce(&values, .sum)
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .mismatch)
      let says = [1000, 1001].contains { error.message.contains("another one, of \($0) elements, but does not say which") }
      #expect(says, "\(error)")
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  /// Ranks remember their last calls only, and those are the ones that are asked about.
  @Test(arguments: Fabric.allCases)
  func callsAreRememberedByNumber(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      for _ in 0..<300 { try communicator.barrier() }
      var values: [Int32] = [1, 2, 3]
      try communicator.broadcast(&values, root: communicator.rank == 2 ? 1 : 0)
    }
    // A rank that only sends may have sent all by then.
    let errors = ended.compactMap(\.error)
    #expect(!errors.isEmpty)
    for error in errors {
      #expect(error.code == .mismatch && error.operationNumber == 301, "\(error)")
      #expect(error.message.contains("root 0") && error.message.contains("root 1"), "\(error)")
    }
    communicators.forEach { $0.close() }
  }

  /// Each algorithm against some others. They need not use the same links.
  @Test(arguments: Fabric.allCases)
  func differentAlgorithms(fabric: Fabric) throws {
    var generator = SeededGenerator(seed: testSeed("differentAlgorithms"))
    let algorithms = AllReduceTests.algorithms
    for first in algorithms {
      for second in algorithms.filter({ $0 != first }).shuffled(using: &generator).prefix(4) {
        let communicators = try makeCommunicators(6, fabric, timeout: .seconds(60 * slowness))
        let start = ContinuousClock.now
        let ended = try endings(communicators) { communicator throws(TuttiError) in
          var values: [Float] = Array(repeating: 1, count: 100)
          try communicator.allReduce(&values, .sum, algorithm: AlgorithmName(communicator.rank == 2 ? first : second))
        }
        for ending in ended {
          #expect(ending.time - start < .seconds(3 * slowness), "\(first) against \(second): \(ending.time - start)")
          #expect(ending.error?.code == .mismatch, "\(first) against \(second): \(ending.error?.description ?? "no error")")
        }
        communicators.forEach { $0.close() }
      }
    }
  }
}

/// An error fits on a screen and says something.
func expectReadable(_ error: TuttiError, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(error.description.utf8.count < 600 && !error.description.contains("\n"), sourceLocation: sourceLocation)
  #expect(error.description.contains(error.message) && error.message.utf8.count > 10, sourceLocation: sourceLocation)
}
