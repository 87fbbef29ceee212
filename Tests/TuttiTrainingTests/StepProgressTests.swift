import Testing
import TuttiTesting

@testable import TuttiTraining

/// What a step does next, decided without ranks, links or threads.
@Suite struct StepProgressTests {
  /// A step of as many buckets of one parameter each, in the order of a backward pass: bucket 0 has the last parameter, and
  /// the next forward pass needs the last bucket first.
  private static func step(_ buckets: Int, isRoot: Bool = true, prioritizes: Bool = true) -> StepProgress {
    StepProgress(layout(buckets), isRoot: isRoot, prioritizes: prioritizes)
  }

  fileprivate static func layout(_ buckets: Int) -> BucketLayout {
    let counts = Array(repeating: 4, count: buckets)
    return BucketLayout(counts: counts, order: counts.indices.reversed(), maximum: 4, first: 4, last: 4, alignment: 4)
  }

  @Test func withoutPrioritiesBucketsGoInTheirOrder() {
    var step = Self.step(3, prioritizes: false)
    step.fill(bucket: 1)
    #expect(step.takeNext() == .nothing, "it is not released")
    step.release()
    #expect(step.takeNext() == .nothing, "bucket 0 is not ready")
    step.fill(bucket: 0)
    #expect(step.takeAll() == [.start(0), .start(1)])
    step.fill(bucket: 2)
    #expect(step.takeAll() == [.start(2)])
    #expect(step.started == [0, 1, 2])
    for bucket in [1, 0, 2] { step.end(bucket) }
    #expect(step.takeNext() == .nothing, "the step may go on")
    step.finish()
    #expect(step.takeAll() == [.sendStatus(.init(isUsed: [true, true, true]))])
    #expect(!step.isDone)
    step.noteStatus()
    #expect(step.isDone)
    #expect(step.takeNext() == .nothing)
  }

  @Test func nothingStartsInAStepThatHasNotBegun() {
    var step = Self.step(3, isRoot: false)
    step.release()
    #expect(!step.hasBegun)
    #expect(step.takeNext() == .nothing)
    step.fill(bucket: 2)
    #expect(step.hasBegun)
    #expect(step.takeNext() == .listen(0))
  }

  @Test func twoBucketsAreNotAnnounced() {
    var step = Self.step(2)
    for bucket in 0..<2 { step.fill(bucket: bucket) }
    step.finish()
    #expect(step.takeAll().prefix(2) == [.start(0), .start(1)])
  }

  @Test func reductionsInFlightAreBounded() {
    let count = StepProgress.underWayMax + 2
    var step = Self.step(count, prioritizes: false)
    for bucket in 0..<count { step.fill(bucket: bucket) }
    step.finish()
    #expect(step.takeAll() == (0..<StepProgress.underWayMax).map { .start($0) })
    step.end(3)
    #expect(step.takeAll() == [.start(StepProgress.underWayMax)])
  }

  @Test func theRootChoosesTheMostUrgentBucketThatIsReady() {
    var step = Self.step(5)
    step.release()
    for bucket in [0, 1, 3] { step.fill(bucket: bucket) }
    #expect(step.takeAll() == [.announce(0, bucket: 3), .announce(1, bucket: 1)])
    step.fill(bucket: 4)
    #expect(step.takeNext() == .nothing, "as many are in flight as may be")
    step.end(1)
    #expect(step.takeAll() == [.announce(2, bucket: 4)])
  }

  @Test func theOthersFollowWhatIsAnnounced() {
    var step = Self.step(5, isRoot: false)
    step.release()
    step.fill(bucket: 0)
    #expect(step.takeAll() == [.listen(0)])
    let takesFirst = step.take(announcement: 3)
    #expect(takesFirst)
    #expect(step.takeNext() == .nothing, "bucket 3 is not ready here")
    step.fill(bucket: 3)
    #expect(step.takeAll() == [.start(3), .listen(1)])
    let takesOthers = [3, 5, -1].map { step.take(announcement: $0) }
    #expect(takesOthers == [false, false, false], "3 has been started, and there are no others of these numbers")
    #expect(step.takeNext() == .nothing)
    let takesNext = step.take(announcement: 0)
    #expect(takesNext)
    #expect(step.takeAll() == [.start(0), .listen(2)])
  }

  @Test func theStatusSaysWhatWasUsedAndWhatIsNotFinite() {
    var step = Self.step(3, prioritizes: false)
    for (parameter, isUsed, isFinite) in [(2, true, true), (1, false, false), (0, true, false)] {
      let isFirst = step.claim(parameter)
      #expect(isFirst && step.isTakingIn)
      step.markReady(parameter, isUsed: isUsed, isFinite: isFinite)
      let isAgain = step.claim(parameter)
      #expect(!isAgain && !step.isTakingIn, "parameter \(parameter) was claimed")
    }
    step.finish()
    let status = StepProgress.Status(isUsed: [true, false, true], firstNonFinite: 1, nonFiniteCount: 2)
    #expect(step.takeAll().last == .sendStatus(status))
    #expect(step.readyOrder == [2, 1, 0])
  }

  /// Gradients become ready and operations end in any order, different on every rank: all ranks start the same operations
  /// in the same order, never more than may be in flight, and come to the end.
  @Test func allRanksStartTheSame() throws {
    var generator = SeededGenerator(seed: testSeed("allRanksStartTheSame"))
    for _ in 0..<300 {
      var ranks = StepsInMemory(
        rankCount: Int.random(in: 1...4, using: &generator), buckets: Int.random(in: 1...12, using: &generator),
        prioritizes: Bool.random(using: &generator), using: &generator)
      while !ranks.areDone {
        let hasMoved = ranks.makeOneMove(using: &generator)
        try #require(hasMoved, "nothing can happen: \(ranks.logs)")
      }
      #expect(ranks.logs.allSatisfy { $0 == ranks.logs[0] }, "\(ranks.logs)")
      #expect(ranks.steps.allSatisfy { $0.started.sorted() == Array($0.phases.indices) }, "\(ranks.logs)")
    }
  }
}

extension StepProgress {
  /// Marks the one parameter of a bucket ready.
  fileprivate mutating func fill(bucket: Int) {
    let parameter = layout.buckets[bucket].parameters[0]
    let isFirst = claim(parameter)
    #expect(isFirst)
    markReady(parameter, isUsed: true, isFinite: true)
  }

  /// Everything that comes next, up to ``Action/nothing``.
  fileprivate mutating func takeAll() -> [Action] {
    var all: [Action] = []
    while true {
      let next = takeNext()
      if next == .nothing { return all }
      all.append(next)
    }
  }
}

/// The ranks of a job that make one step. Operations end on all of them, in any order, once all have started them.
private struct StepsInMemory {
  enum Operation: Hashable {
    case announcement(Int)
    case bucket(Int)
    case status
  }

  var steps: [StepProgress]
  /// By rank: the buckets that are not marked yet, the next one last.
  var unmarked: [[Int]]
  /// By rank: what it has started.
  var logs: [[Operation]]
  /// By rank: which of that has ended there.
  var ended: [Set<Operation>]
  /// By number: the bucket that rank 0 has announced.
  var announced: [Int: Int] = [:]

  init(rankCount: Int, buckets: Int, prioritizes: Bool, using generator: inout SeededGenerator) {
    let layout = StepProgressTests.layout(buckets)
    steps = (0..<rankCount).map { StepProgress(layout, isRoot: $0 == 0, prioritizes: prioritizes) }
    unmarked = (0..<rankCount).map { _ in (0..<buckets).shuffled(using: &generator) }
    logs = Array(repeating: [], count: rankCount)
    ended = Array(repeating: [], count: rankCount)
    for rank in steps.indices where Bool.random(using: &generator) { steps[rank].release() }
  }

  var areDone: Bool { steps.allSatisfy(\.isDone) }

  /// What has not ended on a rank, and may.
  func mayEnd(_ rank: Int) -> [Operation] {
    logs[rank].filter { operation in
      if ended[rank].contains(operation) { return false }
      if case .announcement = operation { return logs[0].contains(operation) }
      return logs.allSatisfy { $0.contains(operation) }
    }
  }

  /// Lets one thing happen on some rank. Returns false where nothing can.
  mutating func makeOneMove(using generator: inout SeededGenerator) -> Bool {
    let marking = steps.indices.filter { !unmarked[$0].isEmpty }
    let ending = steps.indices.filter { !mayEnd($0).isEmpty }
    let marks = ending.isEmpty || Bool.random(using: &generator)
    guard let rank = (marks && !marking.isEmpty ? marking : ending).randomElement(using: &generator) else { return false }
    if marks && !marking.isEmpty {
      steps[rank].fill(bucket: unmarked[rank].removeLast())
      if unmarked[rank].isEmpty { steps[rank].finish() }
    } else {
      end(mayEnd(rank).randomElement(using: &generator)!, rank)
    }
    while true {
      switch steps[rank].takeNext() {
      case .nothing: return true
      case .listen(let number): logs[rank].append(.announcement(number))
      case .announce(let number, let bucket):
        announced[number] = bucket
        logs[rank] += [.announcement(number), .bucket(bucket)]
      case .start(let bucket): logs[rank].append(.bucket(bucket))
      case .sendStatus: logs[rank].append(.status)
      }
      let inFlight = steps[rank].phases.count { $0 == .reducing }
      // Who follows may have more: what has ended on rank 0 makes room there.
      if !steps[rank].announces { #expect(inFlight <= StepProgress.underWayMax) }
      if steps[rank].announces && rank == 0 { #expect(inFlight <= StepProgress.chosenMax) }
    }
  }

  private mutating func end(_ operation: Operation, _ rank: Int) {
    ended[rank].insert(operation)
    switch operation {
    case .announcement(let number):
      let isKnown = rank == 0 || steps[rank].take(announcement: announced[number]!)
      #expect(isKnown, "rank \(rank), announcement \(number)")
    case .bucket(let bucket): steps[rank].end(bucket)
    case .status: steps[rank].noteStatus()
    }
  }
}
