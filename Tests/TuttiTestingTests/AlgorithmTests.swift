import TuttiSystem
import Foundation
import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTesting

@testable import Tutti

/// Tests what an author of algorithms does: prove, draw, exercise, and run by name.
@Suite(.serialized) struct AlgorithmTests {
  static let transports = [TransportChoice.inProcess, .sharedMemory, .tcp]

  // MARK: The proof

  @Test func rightOneIsProven() throws {
    let proof = try prove(OwnAlgorithm.right, rankCounts: [1, 2, 5])
    #expect(proof.schedules == 8 && proof.messages == 22)
    // Three roots of four ranks each.
    #expect(try prove(OwnAlgorithm.scatter, rankCounts: [4]).schedules == 12)
    #expect(try prove(OwnAlgorithm.scatter, rankCounts: [4], roots: [2, 9]).schedules == 4)
  }

  @Test func wrongOneIsRefusedReadably() throws {
    try prove(OwnAlgorithm.ownFirst, rankCounts: [1, 2])
    let counterexample = try #require(throws: Counterexample.self) { try prove(OwnAlgorithm.ownFirst) }
    #expect(counterexample.algorithm == "own-first")
    let text = "\(counterexample)"
    for part in [
      "algorithm own-first is not proven: property 2, same reduction tree on all ranks", "all-reduce, 3 ranks", "chunk 0",
      "expected:", "found:",
    ] { #expect(text.contains(part), "\(text)") }
  }

  @Test func nothingProvenIsNoProof() throws {
    var narrow = OwnAlgorithm.right
    narrow.onlyRankCount = 4
    try prove(narrow, rankCounts: 1...8)
    let counterexample = try #require(throws: Counterexample.self) { try prove(narrow, rankCounts: 1...3) }
    #expect("\(counterexample)".contains("not defined for any"))
    #expect(throws: Counterexample.self) { try prove(OwnAlgorithm.scatter, rankCounts: [2], roots: [5]) }
    #expect(throws: Counterexample.self) { try exercise(narrow, rankCounts: 1...3, seed: 1) }
  }

  @Test(arguments: OwnAlgorithm.garbage.indices)
  func garbageIsRefused(index: Int) throws {
    let algorithm = OwnAlgorithm.garbage[index]
    let counterexample = try #require(throws: Counterexample.self) { try prove(algorithm, rankCounts: [3]) }
    #expect("\(counterexample)".contains("not proven: property"), "\(algorithm.name)")
    // What cannot be proven can still be looked at.
    #expect(!draw(algorithm, rankCount: 3, as: .text).isEmpty)
  }

  // MARK: Running

  @Test(arguments: transports)
  func ownAlgorithmByName(transport: TransportChoice) throws {
    var options = CommunicatorOptions()
    options.algorithms = [OwnAlgorithm.right]
    let ran = try withRanks(3, over: transport, options: options) { communicator in
      var values = [Int32(communicator.rank)]
      try communicator.allReduce(&values, .sum, algorithm: "in-rank-order")
      try #require(values == [3])
      let own = communicator.lastOperation
      // `auto` is never one's own.
      try communicator.allReduce(&values, .sum)
      // A communicator split off knows it too.
      let part = try #require(try communicator.split(color: communicator.rank == 0 ? 0 : 1))
      try part.allReduce(&values, .max, algorithm: "in-rank-order")
      part.close()
      let last = communicator.lastOperation.algorithm == "in-rank-order" ? "own" : "auto"
      return [own.algorithm, own.transports.description, last]
    }
    #expect(ran == Array(repeating: ["in-rank-order", transport.name, "auto"], count: 3))
  }

  @Test func ownAlgorithmsAreExercised() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    for algorithm in [OwnAlgorithm.right, .scatter] {
      do { try exercise(algorithm, rankCounts: 1...5, over: Self.transports, runs: 10, seed: seed) } catch {
        Issue.record("\(algorithm.name), seed \(seed): \(error)")
      }
      do { try exercise(algorithm, rankCounts: [4], runs: 20, seed: seed, faults: LinkFaults(seed: seed)) } catch {
        Issue.record("\(algorithm.name) with faults, seed \(seed): \(error)")
      }
    }
    try exercise(RingAllGather(), rankCounts: [3], runs: 5, seed: seed)
    try exercise(DisseminationBarrier(), rankCounts: [3], runs: 5, seed: seed)
  }

  /// An algorithm that is not a pure function: a rank runs another schedule than the one that was proven. Only a run can
  /// find that.
  @Test func exerciseFindsWhatTheProofCannot() throws {
    let author = pthread_self()
    let asked = Lock<[UInt: Int]>([:])
    let liar = OwnAlgorithm(name: "liar") { rank, rankCount, _ in
      // On the author's thread there is only the proof. On a rank's, the proof asks once for each rank's schedule, and then
      // the engine asks for its own.
      let thread = pthread_self()
      let before = asked.withLock { asked in
        defer { asked[thread, default: 0] += 1 }
        return asked[thread, default: 0]
      }
      let lies = thread != author && before >= rankCount
      return OwnAlgorithm.exchange("liar") { _, _ in lies ? [1 - rank] : [0, 1] }.program(rank, rankCount, 0)
    }
    let failure = try #require(throws: RankFailure.self) {
      try exercise(liar, rankCounts: [2], over: [.sharedMemory], runs: 50, seed: 3)
    }
    let wrong = try #require(failure.error as? WrongResult)
    #expect(wrong.call.contains("all-reduce liar") && wrong.call.contains("2 ranks"))
    #expect(wrong.text.contains("of the output"))
  }

  // MARK: Refusals

  @Test func namesMustBeFree() throws {
    func refusal(_ algorithms: [any Algorithm]) throws -> String {
      var options = CommunicatorOptions()
      options.algorithms = algorithms
      let error = try #require(throws: TuttiError.self) { try withRanks(2, options: options) { _ in } }
      #expect(error.code == .configuration)
      return "\(error)"
    }
    #expect(try refusal([own("a"), own("a")]).contains("all-reduce has an algorithm of that name"))
    #expect(try refusal([own("ring")]).contains("all-reduce has an algorithm of that name"))
    #expect(try refusal([own("auto")]).contains("not a name for an algorithm"))
    #expect(try refusal([own("")]).contains("not a name for an algorithm"))
    // Another collective's name is free.
    var options = CommunicatorOptions()
    options.algorithms = [own("pairwise"), OwnAlgorithm.scatter]
    try withRanks(2, options: options) { try $0.barrier() }
  }

  private func own(_ name: String) -> OwnAlgorithm {
    var algorithm = OwnAlgorithm.right
    algorithm.name = name
    return algorithm
  }

  /// Ranks compare hashes of names: two algorithms of one hash would pass for each other.
  @Test func equalHashesAreRefused() throws {
    func refusal(_ names: [String], alike: Set<String>) throws -> String {
      let error = try #require(throws: FailureReport.self) {
        _ = try AlgorithmCatalog(own: names.map(own), mayRunUnproven: false) {
          alike.contains($0.name) && $0.collective == .allReduce ? AlgorithmIdentifier(rawValue: 7) : $0.identifier
        }
      }
      #expect(error.code == .configuration)
      return error.message
    }
    #expect(try refusal(["a", "b"], alike: ["a", "b"]).contains("tell it from all-reduce a"))
    #expect(try refusal(["a"], alike: ["a", "ring"]).contains("tell it from all-reduce ring"))
  }

  /// Refused on every rank, each time, and nothing else suffers.
  @Test(arguments: transports)
  func unprovenOneIsRefusedAndNothingElse(transport: TransportChoice) throws {
    var options = CommunicatorOptions()
    var narrow = OwnAlgorithm.right
    narrow.onlyRankCount = 2
    options.algorithms = [OwnAlgorithm.ownFirst, narrow]
    try withRanks(3, over: transport, options: options) { communicator in
      let buffer = TuttiBuffer<Float>(count: 10, repeating: 1)
      let pending = try communicator.startAllReduce(buffer, .sum)
      for _ in 0..<2 {
        var values: [Float] = [1]
        let error = #expect(throws: TuttiError.self) {
          try communicator.allReduce(&values, .sum, algorithm: "own-first")
        }
        #expect(error?.code == .unproven)
        #expect(error?.rank == communicator.rank)
        #expect("\(error!)".contains("algorithm own-first was refused: not proven: property 2"))
        #expect(values == [1])
        let started = #expect(throws: TuttiError.self) {
          _ = try communicator.startAllReduce(buffer, .sum, algorithm: "own-first")
        }
        #expect(started?.code == .unproven)
        let undefined = #expect(throws: TuttiError.self) {
          try communicator.allReduce(&values, .sum, algorithm: "in-rank-order")
        }
        #expect(undefined?.code == .invalidArgument)
      }
      try pending.wait()
      #expect(buffer.elements == Array(repeating: 3, count: 10))
      try communicator.barrier()
    }
  }

  /// Where a proof would take too long, only whoever asks for it runs without one.
  @Test func unprovenAtScaleOnRequest() throws {
    var options = CommunicatorOptions()
    options.algorithms = [OwnAlgorithm.right]
    let error = try #require(throws: FailureReport.self) {
      try AlgorithmCatalog(options).prove(OwnAlgorithm.right, for: .flat(rank: 3, rankCount: 513))
    }
    #expect(error.code == .unproven)
    #expect(error.advice.contains("allowsUnprovenAlgorithms"))
    options.allowsUnprovenAlgorithms = true
    try AlgorithmCatalog(options).prove(OwnAlgorithm.right, for: .flat(rank: 3, rankCount: 513))
  }

  /// All ranks bring the same along, or hear at once who does not.
  @Test func ranksMustBringTheSame() throws {
    let name = "unix:@tutti-own-\(UUID().uuidString.prefix(12))"
    let errors = Lock<[Int: TuttiError]>([:])
    try onThreads(2) { rank in
      var options = CommunicatorOptions()
      if rank == 0 { options.algorithms = [OwnAlgorithm.right] }
      do throws(TuttiError) {
        _ = try Communicator.join(environment: testEnvironment(rank, 2, name), options: options)
      } catch { errors.withLock { $0[rank] = error } }
    }
    let all = errors.withLock { $0 }
    #expect(all.count == 2)
    #expect(all.values.allSatisfy { $0.code == .configuration && $0.message.contains("own algorithms") }, "\(all)")
  }

  // MARK: Drawing

  @Test func drawings() throws {
    let text = draw(OwnAlgorithm.right, rankCount: 3, as: .text)
    #expect(text.hasPrefix("all-reduce in-rank-order, 3 ranks\n"))
    #expect(text.contains("send input[0] to 1 2 (copied, channel 0)"))
    let dot = draw(OwnAlgorithm.scatter, rankCount: 3, root: 1, as: .dot)
    #expect(dot.contains("digraph") && dot.contains("->"))
    let svg = draw(OwnAlgorithm.scatter, rankCount: 3, root: 1, as: .svg)
    #expect(svg.contains("<svg") && svg.contains("</svg>") && svg.contains("from-the-root"))
    #expect(DrawingFormat.allCases.map(\.rawValue) == ["text", "dot", "svg"])
  }
}
