import TuttiSystem

/// Keeps track of who asked whom what it is doing, who passes a question on, and who did not answer in time.
///
/// A question goes to its target and to every rank on the way there, so that a rank that does not answer is told from one
/// that another one keeps from being asked. Questions and answers may be lost; nothing here waits.
///
/// Invariant: a question is open until it is settled, or until its time is up; then it is forgotten, and answers to it are
/// too late.
struct Questions {
  /// A question that this rank has to answer.
  struct Inquiry: Hashable {
    let id: UInt64
    let asker: Int
    let operationNumber: UInt64
  }

  /// What a message leads to.
  enum Step {
    /// Send it on its way along the tree.
    case route(ControlMessage, to: Int)
    /// This rank has to answer it.
    case answer(Inquiry)
  }

  private struct Question {
    /// The ranks that were asked, the target last.
    let path: [Int]
    let due: UInt64
    var looks = 0
    var answers: [Int: RankAnswer] = [:]
  }

  /// How long a rank has to answer, in nanoseconds.
  static let patience = 200 * Clock.millisecond
  /// Looks, a millisecond or more apart, after which a rank that has not answered is silent. Fewer are too few to tell: the
  /// deadline was near, or this process was stopped.
  static let looksMin = 10

  private let rank: Int
  private let tree: ControlTree
  private var open: [UInt64: Question] = [:]
  private var nextID: UInt64 = 1

  init(rank: Int, tree: ControlTree) {
    self.rank = rank
    self.tree = tree
  }

  // MARK: Asking

  /// Asks `target`, which is another rank, and every rank on the way to it.
  ///
  /// - Parameters:
  ///   - deadline: The latest time to wait for the answers.
  ///   - hasDeparted: Whether a neighbour is known to have left, so that nobody can answer there.
  mutating func ask(
    _ target: Int, about operationNumber: UInt64, now: UInt64, deadline: UInt64, hasDeparted: (Int) -> Bool
  ) -> (id: UInt64, steps: [Step]) {
    let path = tree.path(from: rank, to: target)
    let id = nextID
    nextID += 1
    var question = Question(path: path, due: min(deadline, now + Self.patience))
    if hasDeparted(path[0]) { question.answers[path[0]] = .left }
    open[id] = question
    let steps = path.map { asked in
      let number = asked == target ? operationNumber : 0
      return Step.route(.question(id: id, asker: rank, target: asked, operationNumber: number), to: asked)
    }
    return (id, steps)
  }

  /// Looks whether a question is settled. Call it about every millisecond.
  ///
  /// - Returns: Its outcome, once; nil while one has to wait for it.
  mutating func look(_ id: UInt64, now: UInt64) -> Diagnosis.Reply? {
    guard var question = open[id] else { return .overtaken }
    question.looks += 1
    open[id] = question
    guard let reply = settled(question) ?? (now >= question.due ? unsettled(question) : nil) else { return nil }
    open[id] = nil
    return reply
  }

  /// Gives a question up.
  mutating func forget(_ id: UInt64) { open[id] = nil }

  /// What the answers of the ranks on a path say about its end; nil while a nearer one may still answer.
  private func settled(_ question: Question) -> Diagnosis.Reply? {
    for asked in question.path {
      switch question.answers[asked] {
      case nil: return nil
      case .left: return .left(asked)
      case .status(let status): if asked == question.path.last { return .status(status) }
      }
    }
    return nil
  }

  private func unsettled(_ question: Question) -> Diagnosis.Reply {
    guard question.looks >= Self.looksMin, let silent = question.path.first(where: { question.answers[$0] == nil }) else {
      return .unasked
    }
    return .silent(silent)
  }

  // MARK: What comes

  /// Takes a question that a neighbour has sent.
  ///
  /// - Parameter hasDeparted: Whether a rank is known to have left.
  func take(_ inquiry: Inquiry, for target: Int, from peer: Int, hasDeparted: (Int) -> Bool) -> [Step] {
    if target == rank { return [.answer(inquiry)] }
    // Never back to where it came from: then it is not one that belongs on this tree.
    guard let hop = tree.nextHop(from: rank, to: target), hop != peer else { return [] }
    let question = ControlMessage.question(
      id: inquiry.id, asker: inquiry.asker, target: target, operationNumber: inquiry.operationNumber)
    let isOver = hasDeparted(hop)
    return [.route(question, to: target)]
      + (isOver ? [.route(.answer(id: inquiry.id, asker: inquiry.asker, about: hop, .left), to: inquiry.asker)] : [])
  }

  /// Takes an answer that a neighbour has sent.
  mutating func take(_ answer: RankAnswer, about: Int, to id: UInt64, of asker: Int, from peer: Int) -> [Step] {
    if asker == rank {
      open[id]?.answers[about] = answer
      return []
    }
    guard tree.nextHop(from: rank, to: asker) != peer else { return [] }
    return [.route(.answer(id: id, asker: asker, about: about, answer), to: asker)]
  }

  /// Makes this rank's answer.
  func answer(_ inquiry: Inquiry, _ status: RankStatus) -> Step {
    .route(.answer(id: inquiry.id, asker: inquiry.asker, about: rank, .status(status)), to: inquiry.asker)
  }
}
