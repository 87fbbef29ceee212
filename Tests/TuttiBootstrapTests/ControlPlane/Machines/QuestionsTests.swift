import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// Questions and answers, under a clock that the test moves.
@Suite struct QuestionsTests {
  private let time = VirtualClock()
  private let tree = ControlTree(rankCount: 16)

  private func status(_ number: UInt64) -> RankAnswer { .status(RankStatus(entered: number)) }

  /// Rank 7 asks rank 2: by 3, 1 and 0.
  private func ask(
    _ questions: inout Questions, seconds: Double = 10, departed: Set<Int> = []
  ) -> (id: UInt64, steps: [Questions.Step]) {
    questions.ask(
      2, about: 9, now: time.now, deadline: time.now + UInt64(seconds * 1e9), hasDeparted: { departed.contains($0) })
  }

  private func answer(_ questions: inout Questions, _ id: UInt64, about: Int, _ answer: RankAnswer) {
    #expect(questions.take(answer, about: about, to: id, of: 7, from: 3).isEmpty)
  }

  /// Looks every millisecond until there is a reply. Returns it, and how many milliseconds it took.
  private func reply(_ questions: inout Questions, _ id: UInt64) -> (Diagnosis.Reply, UInt64) {
    let start = time.now
    while true {
      if let reply = questions.look(id, now: time.now) { return (reply, (time.now - start) / Clock.millisecond) }
      time.advance(Clock.millisecond)
    }
  }

  @Test func everyRankOnTheWayIsAsked() {
    var questions = Questions(rank: 7, tree: tree)
    let (id, steps) = ask(&questions)
    let asked = steps.compactMap { step -> [UInt64]? in
      guard case .route(.question(id, 7, let asked, let number), to: let target) = step, asked == target else { return nil }
      return [UInt64(asked), number]
    }
    // Only the target is asked about the operation.
    #expect(asked == [[3, 0], [1, 0], [0, 0], [2, 9]])
  }

  @Test func anAnswerSettlesItOnce() {
    var questions = Questions(rank: 7, tree: tree)
    let (id, _) = ask(&questions)
    for rank in [2, 3, 0] { answer(&questions, id, about: rank, status(UInt64(rank))) }
    #expect(questions.look(id, now: time.now) == nil)
    answer(&questions, id, about: 1, status(1))
    #expect(questions.look(id, now: time.now) == .status(RankStatus(entered: 2)))
    // Whoever looks again is told that it is over; late answers change nothing.
    answer(&questions, id, about: 2, .left)
    #expect(questions.look(id, now: time.now) == .overtaken)
  }

  @Test func theNearestSilentRankIsNamed() {
    var questions = Questions(rank: 7, tree: tree)
    let (first, _) = ask(&questions)
    answer(&questions, first, about: 3, status(1))
    answer(&questions, first, about: 0, .left)
    let (reply, milliseconds) = reply(&questions, first)
    #expect(reply == .silent(1) && milliseconds == 200)
    let (second, _) = ask(&questions)
    for rank in [3, 1] { answer(&questions, second, about: rank, status(1)) }
    answer(&questions, second, about: 0, .left)
    #expect(questions.look(second, now: time.now) == .left(0))
  }

  @Test func aNeighbourThatIsKnownToHaveLeftNeedNotAnswer() {
    var questions = Questions(rank: 7, tree: tree)
    let (id, _) = ask(&questions, departed: [3])
    #expect(questions.look(id, now: time.now) == .left(3))
  }

  /// A rank is not called silent when there was no time to hear it: a deadline that was near, or a process that was stopped.
  @Test func tooFewLooksSayNothing() {
    var questions = Questions(rank: 7, tree: tree)
    let (near, _) = ask(&questions, seconds: 0.005)
    #expect(reply(&questions, near) == (.unasked, 5))
    let (far, _) = ask(&questions, seconds: 0.05)
    #expect(reply(&questions, far) == (.silent(3), 50))
    let (stopped, _) = ask(&questions)
    time.advance(5 * Clock.second)
    #expect(questions.look(stopped, now: time.now) == .unasked)
  }

  @Test func othersQuestionsArePassedOn() {
    var questions = Questions(rank: 1, tree: tree)
    let inquiry = Questions.Inquiry(id: 5, asker: 7, operationNumber: 9)
    guard case .answer(inquiry)? = questions.take(inquiry, for: 1, from: 3, hasDeparted: { _ in false }).first else {
      Issue.record("its own question is not answered")
      return
    }
    let passed = questions.take(inquiry, for: 2, from: 3, hasDeparted: { _ in false })
    guard passed.count == 1, case .route(.question(5, 7, 2, 9), to: 2) = passed[0] else {
      Issue.record("\(passed)")
      return
    }
    let ended = questions.take(inquiry, for: 2, from: 3, hasDeparted: { $0 == 0 })
    guard ended.count == 2, case .route(.answer(5, 7, 0, .left), to: 7) = ended[1] else {
      Issue.record("\(ended)")
      return
    }
    // From where it would go on: it does not belong on this tree.
    #expect(questions.take(inquiry, for: 2, from: 0, hasDeparted: { _ in true }).isEmpty)
    #expect(questions.take(.left, about: 2, to: 5, of: 7, from: 3).isEmpty)
    #expect(questions.take(.left, about: 2, to: 5, of: 7, from: 0).count == 1)
  }
}
