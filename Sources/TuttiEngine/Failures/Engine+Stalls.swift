import TuttiSystem
import TuttiTransport

/// Remembers where the operation of a slot was when it was last looked at, and when to ask other ranks about it.
struct StallWatch {
  /// The operation's number; 0 before the first.
  var number: UInt64 = 0
  var progress: UInt64 = 0
  /// When to ask next if it stays there, in the engine's time.
  var askTime: UInt64 = 0
  /// How often they were asked since it moved.
  var rounds = 0
}

/// Operations that do not move: whether other ranks are in another call, so that they never will.
///
/// Mostly that shows in the first segment that comes from another call. But ranks in two calls may both wait, and nothing be
/// sent: their algorithms need different links, which nobody opens, or each takes another rank for the root. So the ranks
/// that a stuck operation waits for are asked what they have called as the operation of its number. One that has not come so
/// far says nothing, and is waited for to the limit: it may just be slow.
extension Engine {
  /// How long an operation stays where it is before other ranks are first asked, unless it is given otherwise.
  package static let usualStallNanoseconds: UInt64 = 500_000_000
  /// The most ranks on a processor that still get their turns often enough for the usual time.
  private static let usualRanksPerProcessor = 16

  /// The stall time where ranks take turns. An operation of very many stays where it is because each of them waits for its
  /// turn, and questions would only add to that.
  package static func stallNanoseconds(ranksPerProcessor: Int) -> UInt64 {
    usualStallNanoseconds * UInt64(max(1, ranksPerProcessor / usualRanksPerProcessor))
  }

  /// The longest time between two rounds of questions, as a multiple of the stall time.
  private static let longestPause: UInt64 = 16
  /// Ranks that are asked in one round: each question passes all ranks on its way through the control tree.
  private static let ranksInRound = 4

  /// Finds an operation where another rank has called something else, or a rank that has gone without opening a link.
  /// Returns a function that makes the report, to be called without the lock.
  func findStall(_ now: UInt64) -> (() -> FailureReport)? {
    lock.assertHeld()
    return now < core.pointee.nextStallLook ? nil : lookForStalls(now)
  }

  @inline(never)
  private func lookForStalls(_ now: UInt64) -> (() -> FailureReport)? {
    core.pointee.nextStallLook = now &+ stallNanoseconds / 4
    // Here too, because a driver that waits a little while, again and again, never finds that it has waited long.
    if let loss = findAbsence() { return { [unowned self] in cause(of: loss) } }
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      let slot = core.pointee.slots + index
      let watch = core.pointee.stallWatches + index
      let number = slot.pointee.operation.pointee.number
      if let (peer, words) = core.pointee.polls.first(where: { $0.number == number })?.difference {
        return { [unowned self] in disagreement(about: number, peer, words) }
      }
      let progress = progress(of: slot)
      if watch.pointee.number != number || watch.pointee.progress != progress {
        watch.initialize(to: StallWatch(number: number, progress: progress, askTime: now &+ stallNanoseconds))
      } else if now >= watch.pointee.askTime {
        poll(slot, round: watch.pointee.rounds)
        watch.pointee.rounds += 1
        let pause = min(Self.longestPause, 1 << UInt64(min(watch.pointee.rounds, 62)))
        watch.pointee.askTime = now &+ pause &* stallNanoseconds
      }
    }
    return nil
  }

  /// Counts what an operation has done: a number that grows whenever it moves.
  private func progress(of slot: UnsafeMutablePointer<OperationSlot>) -> UInt64 {
    let tables = slot.pointee.operation.pointee.tables
    if !tables.pointee.linksReady { return UInt64(core.pointee.ownedLinks.count) }
    var segments = UInt64(rankCount)
    for step in 0..<tables.pointee.stepCount { segments &+= slot.pointee.cursors[step].segments }
    return segments
  }

  /// Starts to ask ranks about an operation that is stuck, unless those that were asked before have not answered yet.
  private func poll(_ slot: UnsafeMutablePointer<OperationSlot>, round: Int) {
    lock.assertHeld()
    let number = slot.pointee.operation.pointee.number
    core.pointee.polls.removeAll { $0.hasEnded }
    let ranks = ranksToAsk(slot, round: round)
    guard core.pointee.polls.count < Lane.operationSlots, !ranks.isEmpty, let call = call(numbered: number) else { return }
    let poll = CallPoll(number: number)
    // Strongly: a thread that asks must not outlive whom it asks through.
    let delegate = delegate
    do throws(FailureReport) {
      try threads.start("tutti-poll") { poll.run(ranks, delegate.describe(call), delegate) }
      core.pointee.polls.append(poll)
    } catch {
      // Without the thread they are asked in the next round, and at the limit.
    }
  }

  /// The rank that a stuck operation waits for, and others that it needs, in each round others: those whose links are
  /// missing, where links are.
  private func ranksToAsk(_ slot: UnsafeMutablePointer<OperationSlot>, round: Int) -> [Int] {
    let operation = slot.pointee.operation
    let peers = operation.pointee.plan.takeUnretainedValue().peers
    let others = operation.pointee.tables.pointee.linksReady ? peers : peers.filter { core.pointee.links[$0] == nil }
    let awaited = blockedStep(slot).peer
    var ranks = awaited < 0 ? [] : [awaited]
    for index in others.indices where ranks.count < Self.ranksInRound {
      let other = others[(index + (Self.ranksInRound - 1) * round) % others.count]
      if other != awaited { ranks.append(other) }
    }
    return ranks
  }
}
