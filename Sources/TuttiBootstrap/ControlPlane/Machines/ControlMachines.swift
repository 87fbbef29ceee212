import Glibc
import TuttiSystem

/// The four machines of one rank's control plane, and what passes between them. A membership holds it under its lock, so
/// that a goodbye never overtakes an abort; tests join many of them by channels in memory.
///
/// Everything goes one way: what edges and processes tell becomes questions and causes, and those become messages on the
/// edges. What needs the lock to be released is in the ``Aftermath``.
struct ControlMachines {
  /// What has to be done once the lock is released.
  struct Aftermath {
    /// The first cause, for the runtime.
    var failure: FailureReport?
    /// Questions for the runtime.
    var inquiries: [Questions.Inquiry] = []
  }

  let rank: Int
  private(set) var edges: ControlEdges
  private(set) var processes = ProcessWatch()
  private(set) var questions: Questions
  private(set) var failures = FailureSpread()
  /// Where the ranks of this host say that they leave; nil where they share no memory.
  var board: (any DepartureMarks)?
  /// Whether the join is complete, so that the end of an edge is news.
  private var isEstablished = false
  /// `rank 2 (pid 123 on host-a)`.
  private let describe: @Sendable (Int) -> String

  init(rank: Int, tree: ControlTree, describe: @escaping @Sendable (Int) -> String) {
    self.rank = rank
    self.describe = describe
    edges = ControlEdges(rank: rank, tree: tree)
    questions = Questions(rank: rank, tree: tree)
  }

  // MARK: Causes

  /// Makes `cause` the communicator's failure, unless it has one: tells every edge but the one it came from.
  mutating func report(_ cause: FailureReport, from source: Int? = nil, _ after: inout Aftermath) {
    guard let spread = failures.report(cause, from: source) else { return }
    board?.mark(rank, .failed)
    edges.tell(spread.message, except: spread.source)
    if spread.isAnnounced { after.failure = cause }
  }

  /// Notes that the runtime listens from now on. Returns what it has missed.
  mutating func listen() -> FailureReport? { failures.listen() }

  // MARK: Edges

  /// Makes an authenticated connection the edge to `peer`. False when it is not wanted.
  mutating func attach(_ channel: any EdgeChannel, to peer: Int) -> Bool {
    guard !failures.hasLeft, edges.attach(channel, to: peer) else { return false }
    if let news = failures.lateNews { edges.send(news, to: peer) }
    return true
  }

  /// Reads the edge of a neighbour that has sent something, or whose edge has ended.
  mutating func edgeIsReady(_ peer: Int, _ after: inout Aftermath) {
    for news in edges.read(peer) {
      switch news {
      case .message(let message, let source): take(message, from: source, &after)
      case .broken(let peer, let code): edgeHasEnded(peer, code, &after)
      }
    }
  }

  private mutating func take(_ message: ControlMessage, from peer: Int, _ after: inout Aftermath) {
    switch message {
    case .abort(let cause):
      report(cause, from: peer, &after)
    case .goodbye:
      // The edge has taken it.
      break
    case .question(let id, let asker, let target, let operationNumber):
      let inquiry = Questions.Inquiry(id: id, asker: asker, operationNumber: operationNumber)
      perform(questions.take(inquiry, for: target, from: peer, hasDeparted: edges.hasDeparted), &after)
    case .answer(let id, let asker, let about, let answer):
      perform(questions.take(answer, about: about, to: id, of: asker, from: peer), &after)
    }
  }

  /// Handles the end of an edge without a goodbye. Unlike the end of a process it is news at once: a cause that the
  /// neighbour had sent came over the edge before.
  private mutating func edgeHasEnded(_ peer: Int, _ code: Int32, _ after: inout Aftermath) {
    if board?[peer] == .left { return edges.noteDeparture(of: peer) }
    if isEstablished { report(endReport(peer, code), &after) }
  }

  /// Notes that the join is complete, and makes up for ends that came during it.
  mutating func establish(_ after: inout Aftermath) {
    isEstablished = true
    for (peer, code) in edges.broken { report(endReport(peer, code), &after) }
  }

  // MARK: Processes

  /// Watches the processes of other ranks. Watch only those that have the board: one that does not have it could not say
  /// that it leaves in good order before its end is news.
  mutating func watch(
    _ processes: [ProcessIdentity: [Int]], open: (ProcessIdentity) -> ProcessWatch.Opened, now: UInt64,
    _ after: inout Aftermath
  ) {
    guard board != nil else { return }
    for peer in self.processes.watch(processes, open: open) { processOfRankHasEnded(peer, now: now, &after) }
  }

  /// Handles the kernel's news that a process has ended.
  mutating func processHasEnded(_ process: ProcessIdentity, now: UInt64, _ after: inout Aftermath) {
    let ranks = processes.takeEnded(process)
    // What it said last comes before its end.
    for peer in ranks { edgeIsReady(peer, &after) }
    for peer in ranks { processOfRankHasEnded(peer, now: now, &after) }
  }

  /// Judges the end of a rank's process, unless the rank is known to have left.
  private mutating func processOfRankHasEnded(_ peer: Int, now: UInt64, _ after: inout Aftermath) {
    guard !edges.hasDeparted(peer) else { return }
    switch processes.judge(peer, board?[peer] ?? .present, now: now) {
    case .departed: edges.noteDeparture(of: peer)
    case .broken(let code): report(endReport(peer, code), &after)
    case nil: break
    }
  }

  /// Handles what is due, once the time of ``ProcessWatch/nextDue`` has come.
  mutating func timeIsUp(now: UInt64, _ after: inout Aftermath) {
    for peer in processes.takeOverdue(now: now) where !edges.hasDeparted(peer) { report(endReport(peer, 0), &after) }
  }

  /// The report of the end of a rank whose edge or process has ended without a goodbye.
  private func endReport(_ peer: Int, _ code: Int32) -> FailureReport {
    let who = describe(peer)
    return switch code {
    case 0, ECONNRESET, EPIPE:
      FailureReport(
        .peerLost, rank: rank, peer: peer, "\(who) ended without leaving the communicator",
        advice: "Look at its own output and exit status: a crash, kill, or out of memory")
    case EBADMSG:
      FailureReport(
        .peerLost, rank: rank, peer: peer, "\(who) sent a control message that cannot be read",
        advice: "Run the same build of the library on every rank")
    default:
      FailureReport(
        .peerLost, rank: rank, peer: peer, "\(who) cannot be reached any more",
        advice: "Look at its host and the network between", systemError: code)
    }
  }

  // MARK: Questions

  /// Asks another rank what it is doing.
  mutating func ask(
    _ target: Int, about operationNumber: UInt64, now: UInt64, deadline: UInt64, _ after: inout Aftermath
  ) -> UInt64 {
    let (id, steps) = questions.ask(
      target, about: operationNumber, now: now, deadline: deadline, hasDeparted: edges.hasDeparted)
    perform(steps, &after)
    return id
  }

  /// The outcome of a question; nil while one has to wait for it.
  mutating func look(_ id: UInt64, now: UInt64) -> Diagnosis.Reply? {
    guard failures.isOver else { return questions.look(id, now: now) }
    questions.forget(id)
    return .overtaken
  }

  /// Takes the runtime's answer to a question.
  mutating func answer(_ inquiry: Questions.Inquiry, _ status: RankStatus, _ after: inout Aftermath) {
    perform([questions.answer(inquiry, status)], &after)
  }

  private func perform(_ steps: [Questions.Step], _ after: inout Aftermath) {
    for step in steps {
      switch step {
      case .route(let message, let target): edges.route(message, to: target)
      case .answer(let inquiry): after.inquiries.append(inquiry)
      }
    }
  }

  /// Whether `peer` is known to have left in good order.
  func hasDeparted(_ peer: Int) -> Bool { edges.hasDeparted(peer) || board?[peer] == .left }

  /// Hands on what goes now of that which waits to be sent. Returns whether nothing is left.
  func flush() -> Bool { edges.flush() }

  // MARK: The end

  /// Says goodbye to all neighbours. Returns whether that was new.
  mutating func leave() -> Bool {
    guard failures.leave() else { return false }
    // After a failure it stays `failed`: whoever misses this rank must wait for the cause, not take its leaving for one.
    if failures.firstCause == nil { board?.mark(rank, .left) }
    edges.tell(.goodbye, except: nil)
    return true
  }

  /// Gives up all edges and watches. Neighbours that have heard no goodbye take it for this rank's end.
  mutating func close() {
    _ = failures.leave()
    edges.close()
    processes.close()
    board = nil
  }
}
