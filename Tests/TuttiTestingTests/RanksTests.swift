import Patience
import Synchronization
import Testing
import Tutti
import TuttiSystem
import TuttiTesting

/// Running ranks in a test: what they return, and who is named when something goes wrong.
@Suite(.serialized) struct RanksTests {
  static let transports = [TransportChoice.inProcess, .sharedMemory, .tcp, .auto]

  struct Mishap: Error {}

  @Test(arguments: transports)
  func resultsAreByRank(transport: TransportChoice) throws {
    let results = try withRanks(4, over: transport) { communicator in
      var values = [Float(communicator.rank)]
      try communicator.allReduce(&values, .sum)
      return [communicator.rank, communicator.rankCount, Int(values[0])]
    }
    #expect(results == [[0, 4, 6], [1, 4, 6], [2, 4, 6], [3, 4, 6]])
  }

  @Test func lowestFailureIsThrown() throws {
    let failure = try #require(throws: RankFailure.self) {
      try withRanks(4) { if $0.rank >= 2 { throw Mishap() } }
    }
    #expect(failure.rank == 2)
    #expect(failure.error is Mishap)
  }

  /// Rank 2 throws while the others wait for it: they end at once, and are not taken for the cause.
  @Test(arguments: transports)
  func whoThrowsIsTheCause(transport: TransportChoice) throws {
    let failure = try #require(throws: RankFailure.self) {
      try withRanks(3, over: transport) { communicator in
        if communicator.rank == 2 { throw Mishap() }
        try communicator.barrier()
      }
    }
    #expect(failure.rank == 2)
    #expect(failure.error is Mishap)
  }

  /// When it is the program that aborts, all ranks throw the same, and one of them is reported.
  @Test func abortsAreReported() throws {
    let failure = try #require(throws: RankFailure.self) {
      try withRanks(3) { communicator in
        if communicator.rank == 1 { return communicator.abort("had enough") }
        try communicator.barrier()
      }
    }
    #expect((failure.error as? TuttiError)?.code == .aborted)
    #expect("\(failure)".contains("rank 1 aborted: had enough"))
  }

  @Test func hangingRankIsNamed() throws {
    let isReleased = Flag()
    defer { isReleased.value.store(true, ordering: .relaxed) }
    let observed = Lock<[Int: TuttiError]>([:])
    let failure = try #require(throws: RankFailure.self) {
      try withRanks(3, timeout: .seconds(3)) { communicator in
        if communicator.rank == 1 {
          let clock = ContinuousClock()
          let end = clock.now + .seconds(60 * Patience.factor)
          while !isReleased.value.load(ordering: .relaxed) && clock.now < end {}
          return
        }
        do throws(TuttiError) { try communicator.barrier() } catch {
          observed.withLock { $0[communicator.rank] = error }
          throw error
        }
      }
    }
    #expect(failure.rank == 1)
    #expect(failure.error is HangingRank)
    #expect("\(failure)".contains("rank 1: has not ended after 3.0 seconds"))
    // The library had its say before that.
    let errors = observed.withLock { $0 }
    #expect(errors.count == 2)
    #expect(errors.values.allSatisfy { $0.code == .timeout && $0.peer == 1 })
  }

  private final class Flag: Sendable { let value = Atomic<Bool>(false) }

  @Test func impossibleRankCount() {
    #expect(throws: TuttiError.self) { try withRanks(0) { _ in } }
    #expect(throws: TuttiError.self) { try withRanks(513) { _ in } }
  }

  /// The same seed gives the same numbers on every machine and in every version.
  @Test func seededNumbers() {
    var generator = SeededGenerator(seed: 42)
    #expect((0..<3).map { _ in generator.next() } == [0xBDD7_3226_2FEB_6E95, 0x28EF_E333_B266_F103, 0x4752_6757_130F_9F52])
  }

  // MARK: Faults

  @Test(arguments: [1, 2, 3] as [UInt64])
  func faultsGoUnnoticed(seed: UInt64) throws {
    try withRanks(4, faults: LinkFaults(seed: seed)) { communicator in
      for count in [1, 1000, 200_000] {
        var values = (0..<count).map { Int32($0 % 1000 + communicator.rank) }
        let sums = (0..<count).map { Int32($0 % 1000 * 4 + 6) }
        try communicator.allReduce(&values, .sum)
        try #require(values == sums)
      }
    }
  }

  @Test func severedLinksReachEveryRank() throws {
    var faults = LinkFaults(seed: 5)
    faults.severAtSegment = 10
    let errors = Lock<[Int: TuttiError]>([:])
    let failure = try #require(throws: RankFailure.self) {
      try withRanks(4, faults: faults) { communicator in
        var values = [Float](repeating: 1, count: 1000)
        do throws(TuttiError) {
          for _ in 0..<100 { try communicator.allReduce(&values, .max) }
        } catch {
          errors.withLock { $0[communicator.rank] = error }
          throw error
        }
      }
    }
    let code = (failure.error as? TuttiError)?.code
    #expect(code == .peerLost || code == .transport)
    let all = errors.withLock { $0 }
    #expect(all.count == 4)
    #expect(all.values.allSatisfy { $0.peer != nil && $0.message == all[0]?.message })
  }
}
