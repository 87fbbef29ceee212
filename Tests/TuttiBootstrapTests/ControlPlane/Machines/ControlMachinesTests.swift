import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// What a whole control plane does, whatever the order in which things arrive. Every test is repeated by seed.
@Suite struct ControlMachinesTests {
  private func plane(_ seed: UInt64, hasBoard: Bool? = nil, ranks: ClosedRange<Int> = 2...24) -> SimulatedPlane {
    var generator = SeededGenerator(seed: seed)
    return SimulatedPlane(
      rankCount: Int.random(in: ranks, using: &generator), hasBoard: hasBoard ?? Bool.random(using: &generator),
      seed: generator.next())
  }

  @Test(arguments: machineSeeds(60))
  func oneCauseReachesAll(_ seed: UInt64) {
    let plane = plane(seed)
    let reporter = Int.random(in: 0..<plane.rankCount, using: &plane.generator)
    plane.report(reporter, "the cause")
    plane.report(reporter, "a later one")
    plane.settle()
    for rank in plane.alive { #expect(plane.heard[rank].map(\.message) == ["the cause"], "seed \(seed), rank \(rank)") }
  }

  /// Several find something at the same time: each rank hears of one of them, once.
  @Test(arguments: machineSeeds(60))
  func eachRankHearsOneCause(_ seed: UInt64) {
    let plane = plane(seed)
    var reported: Set<String> = []
    for _ in 0..<Int.random(in: 1...5, using: &plane.generator) {
      let reporter = Int.random(in: 0..<plane.rankCount, using: &plane.generator)
      plane.report(reporter, "cause of \(reporter)")
      reported.insert("cause of \(reporter)")
      plane.letSomeArrive()
    }
    plane.settle()
    for rank in plane.alive {
      let heard = plane.heard[rank].map(\.message)
      #expect(heard.count == 1 && reported.contains(heard[0]), "seed \(seed), rank \(rank): \(heard)")
    }
  }

  @Test(arguments: machineSeeds(60))
  func deathsAreNamedEverywhere(_ seed: UInt64) {
    let plane = plane(seed)
    for _ in 0..<Int.random(in: 1..<max(2, plane.rankCount / 2), using: &plane.generator) {
      plane.kill(Int.random(in: 0..<plane.rankCount, using: &plane.generator))
      plane.letSomeArrive()
    }
    plane.settle()
    for rank in plane.alive {
      let heard = plane.heard[rank]
      #expect(
        heard.count == 1 && heard[0].code == .peerLost && plane.ended.contains(heard[0].peer),
        "seed \(seed), rank \(rank): \(heard)")
    }
  }

  /// The ends of processes that left, in whatever order they are heard of, are no deaths.
  @Test(arguments: machineSeeds(60))
  func leavingIsNoDeath(_ seed: UInt64) {
    let plane = plane(seed, hasBoard: true)
    for rank in (0..<plane.rankCount).shuffled(using: &plane.generator) {
      plane.leave(rank)
      plane.letSomeArrive()
      if Bool.random(using: &plane.generator) { plane.kill(rank) }
      plane.letSomeArrive()
    }
    plane.settle()
    #expect(plane.heard.allSatisfy { $0.isEmpty }, "seed \(seed): \(plane.heard)")
  }

  /// A program that ends right after it reported why: its end is heard of before its report by some, and is not what they
  /// blame.
  @Test(arguments: machineSeeds(60))
  func aReportOutlivesItsProcess(_ seed: UInt64) {
    let plane = plane(seed, hasBoard: true)
    let reporter = Int.random(in: 0..<plane.rankCount, using: &plane.generator)
    plane.report(reporter, "the cause")
    plane.kill(reporter)
    plane.settle()
    for rank in plane.alive { #expect(plane.heard[rank].map(\.message) == ["the cause"], "seed \(seed), rank \(rank)") }
  }

  /// A rank ended after a failure, and a stopped one keeps the cause: a second later the end itself is the cause.
  @Test(arguments: machineSeeds(30))
  func aCauseThatDoesNotComeIsNotWaitedForForEver(_ seed: UInt64) {
    let plane = plane(seed, hasBoard: true, ranks: 6...24)
    // A leaf, whose only neighbour is stopped.
    let victim = plane.rankCount - 1
    let stopped = plane.tree.parent(of: victim)!
    plane.stopped = [stopped]
    plane.report(victim, "the cause")
    plane.kill(victim)
    plane.settle()
    let others = plane.alive.filter { $0 != stopped }
    plane.time.advance(Clock.second - 1)
    for rank in others {
      #expect(plane.machines[rank].processes.nextDue == plane.time.now + 1, "seed \(seed), rank \(rank)")
      plane.act(rank) { machines, after in machines.timeIsUp(now: plane.time.now, &after) }
      #expect(plane.heard[rank].isEmpty, "seed \(seed), rank \(rank)")
    }
    plane.time.advance(1)
    plane.act(others[0]) { machines, after in machines.timeIsUp(now: plane.time.now, &after) }
    let heard = plane.heard[others[0]].first
    #expect(heard?.code == .peerLost && heard?.peer == victim, "seed \(seed)")
  }

  /// What is asked, whatever stands in the way.
  @Test(arguments: machineSeeds(60))
  func questionsNameTheRankInTheWay(_ seed: UInt64) {
    let plane = plane(seed)
    for _ in 0..<Int.random(in: 0...2, using: &plane.generator) {
      plane.leave(Int.random(in: 0..<plane.rankCount, using: &plane.generator))
    }
    plane.settle()
    let isHere = { plane.machines[$0].failures.hasLeft == false }
    for _ in 0..<Int.random(in: 0...2, using: &plane.generator) {
      plane.stopped.insert(Int.random(in: 0..<plane.rankCount, using: &plane.generator))
    }
    let askers = (0..<plane.rankCount).filter { isHere($0) && !plane.stopped.contains($0) }
    for asker in askers.shuffled(using: &plane.generator).prefix(4) {
      guard let target = (0..<plane.rankCount).filter({ $0 != asker }).randomElement(using: &plane.generator) else { return }
      let start = plane.time.now
      let reply = plane.ask(asker, target)
      var expected = Diagnosis.Reply.status(plane.status(of: target, 5))
      for rank in plane.tree.path(from: asker, to: target).reversed() {
        if !isHere(rank) { expected = .left(rank) } else if plane.stopped.contains(rank) { expected = .silent(rank) }
      }
      #expect(reply == expected, "seed \(seed): rank \(asker) asks rank \(target)")
      #expect(plane.time.now - start <= 200 * Clock.millisecond, "seed \(seed)")
    }
  }

  /// The edges of a communicator that has failed carry what its survivors have to say to each other.
  @Test(arguments: machineSeeds(30))
  func edgesOutliveTheFirstCause(_ seed: UInt64) {
    let plane = plane(seed, ranks: 3...24)
    plane.report(0, "the cause")
    plane.settle()
    #expect(plane.ask(0, plane.rankCount - 1) == .overtaken, "seed \(seed)")
    let (asker, target) = (plane.rankCount - 1, 0)
    let id = plane.act(asker) { machines, after in
      machines.ask(target, about: 0, now: plane.time.now, deadline: .max, &after)
    }
    plane.settle()
    var questions = plane.machines[asker].questions
    #expect(questions.look(id, now: plane.time.now) == .status(plane.status(of: target, 0)), "seed \(seed)")
    #expect(plane.machines.allSatisfy { $0.edges.missing.isEmpty && $0.edges.broken.isEmpty }, "seed \(seed)")
  }

  /// An edge that is attached after the failure is told of it; one after the rank has left is not wanted.
  @Test func lateEdgesHearTheCause() {
    var machines = ControlMachines(rank: 0, tree: ControlTree(rankCount: 3)) { "rank \($0)" }
    var after = ControlMachines.Aftermath()
    machines.report(FailureReport(.aborted, "early"), &after)
    let (first, second) = (MemoryChannel(), MemoryChannel())
    let isAttached = machines.attach(first, to: 1)
    #expect(isAttached)
    guard case .abort(let cause)? = first.messages(rankCount: 3).first, cause.message == "early" else {
      Issue.record("the edge is not told")
      return
    }
    _ = machines.leave()
    #expect(!machines.attach(second, to: 2) && second.onItsWay.isEmpty)
    #expect(first.messages(rankCount: 3).count == 2)
  }
}
