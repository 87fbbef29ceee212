import Testing
import TuttiSystem
import TuttiTesting

@testable import Tutti

/// `checksStrictly`: a mismatch is found before any buffer is touched, and named alike on every rank.
@Suite struct StrictCheckTests {
  private func withStrictRanks(_ rankCount: Int, _ body: @escaping @Sendable (Communicator) throws -> Void) throws {
    var options = CommunicatorOptions()
    options.checksStrictly = true
    let communicators = try Communicator.makeInProcess(rankCount: rankCount, options: options)
    let failures = Lock<[any Error]>([])
    try onThreads(rankCount) { rank in
      do { try body(communicators[rank]) } catch { failures.withLock { $0.append(error) } }
    }
    if let first = failures.withLock({ $0.first }) { throw first }
  }

  @Test(arguments: [1, 2, 5])
  func equalCallsPass(rankCount: Int) throws {
    try withStrictRanks(rankCount) { communicator in
      for count in [0, 1, 100] { try AllReduceTests.check(communicator, nil, count: count) }
      try communicator.barrier()
    }
  }

  @Test func mismatchLeavesBuffersUntouched() throws {
    try withStrictRanks(4) { communicator in
      let count = communicator.rank == 2 ? 999 : 1000
      var values = [Float](repeating: 7, count: count)
      var thrown: TuttiError?
      do { try communicator.allReduce(&values, .sum) } catch { thrown = error as? TuttiError }
      guard let thrown, thrown.code == .mismatch, thrown.peer == 2, values.allSatisfy({ $0 == 7 }),
        thrown.message.contains("x 1000"), thrown.message.contains("x 999")
      else { throw WrongResult(description: "rank \(communicator.rank): \(String(describing: thrown)), \(values[0])") }
    }
  }

  /// The mismatch is the first cause on every rank, so that none that is still in the check's all-reduce waits for others,
  /// or takes their end for the cause.
  @Test(arguments: Fabric.allCases)
  func mismatchIsReported(fabric: Fabric) throws {
    var options = CommunicatorOptions()
    options.checksStrictly = true
    let communicators = try TuttiTesting.makeCommunicators(3, over: fabric.transport, options: options)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      var values = [Float](repeating: 7, count: communicator.rank == 2 ? 999 : 1000)
      try communicator.allReduce(&values, .sum)
    }
    for (communicator, ending) in zip(communicators, ended) {
      #expect(ending.error?.code == .mismatch && ending.error?.peer == 2, "\(ending.error as Any)")
      let cause = communicator.member.controlPlane.firstCause
      #expect(cause?.code == .mismatch && cause?.peer == 2, "rank \(communicator.rank): \(cause as Any)")
      communicator.close()
    }
  }

  @Test func unknownKindIsRefused() throws {
    var variables = environment(0, 1, "unix:@tutti-check")
    variables["TUTTI_CHECK"] = "paranoid"
    #expect(throws: TuttiError.self) { _ = try Communicator.join(environment: variables) }
  }

  /// Every rank rightly gives other counts.
  @Test func anAllToAllWithCounts() throws {
    var options = CommunicatorOptions()
    options.checksStrictly = true
    let communicators = try Communicator.makeInProcess(rankCount: 2, options: options)
    for ending in try endings(
      communicators,
      { communicator throws(TuttiError) in
        let sends = communicator.rank == 0 ? [1, 2] : [3, 4]
        let receives = communicator.rank == 0 ? [1, 3] : [2, 4]
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 64)
        defer { memory.deallocate() }
        try communicator.allToAll(
          RawMemory(memory, count: sends.reduce(0, +), type: .int32), blocks: .each(sends),
          to: RawMemory(memory + 64, count: receives.reduce(0, +), type: .int32), blocks: .each(receives))
      })
    {
      #expect(ending.error == nil)
    }
    for communicator in communicators { communicator.close() }
  }
}
