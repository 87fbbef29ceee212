// How a communicator is made from another one.

import TuttiBootstrap
import TuttiSystem

extension Communicator {
  /// Divides the ranks into communicators of their own: one for each color.
  ///
  /// Every rank calls this, in the same order as its other calls; two threads that split at once take turns. The new
  /// communicators have this one's options, and links, memory and fate of their own: a failure there does not abort this
  /// one, nor the reverse, and closing one closes no other. They can be split in turn.
  ///
  /// Ranks are numbered anew, and a new communicator's errors speak of its own numbers. Errors of this call speak of this
  /// one's.
  ///
  /// - Parameters:
  ///   - color: Any number; ranks with equal ones form a communicator. nil for a rank that takes part in the call and in no
  ///     communicator.
  ///   - key: The new ranks are in the order of their keys, and for equal keys in that of their ranks here.
  ///   - timeout: Wall-clock limit of waiting until all ranks have called; nil for the communicator's. Connecting them then
  ///     has the shortest of all ranks' limits.
  /// - Returns: The communicator of this rank's color; nil for a color of nil.
  /// - Throws: ``TuttiError``, like any collective, if not all ranks come: this communicator is then aborted. If the ranks
  ///   of one color cannot be connected, all of them throw why, naming the rank, while the other colors and this
  ///   communicator go on.
  /// - Complexity: Two small all-reduces, and a control connection and a few descriptors for each rank. Links are opened
  ///   when first needed.
  /// - SeeAlso: `MPI_Comm_split`, `ncclCommSplit`; `docs/ARCHITECTURE.md`.
  @available(*, noasync, message: "use 'try await communicator.split(...)'")
  public func split(color: Int?, key: Int = 0, timeout: Duration? = nil) throws(TuttiError) -> Communicator? {
    do throws(FailureReport) {
      // In a forked child, a thread that is not here may hold the lock.
      try member.checkProcess()
      let timeout = timeout.map(Self.nanoseconds) ?? defaultTimeout
      // Whoever waits here waits for a call that has a deadline, or that `abort` ends.
      let child = try splitting.withLock { count throws(FailureReport) in
        count += 1
        return try splitInTurn(color, key, timeout)
      }
      return child.map { Communicator($0, options) }
    } catch { throw TuttiError(error) }
  }

  /// Makes a communicator of the same ranks with the same numbers, independent of this one: for a library that must not
  /// disturb its caller's operations. Every rank calls it.
  ///
  /// - Parameter timeout: See ``split(color:key:timeout:)``.
  /// - Throws: As ``split(color:key:timeout:)``.
  /// - SeeAlso: `MPI_Comm_dup`.
  @available(*, noasync, message: "use 'try await communicator.duplicate()'")
  public func duplicate(timeout: Duration? = nil) throws(TuttiError) -> Communicator {
    guard let child = try split(color: 0, timeout: timeout) else {
      preconditionFailure("a split with a color has no result")
    }
    return child
  }

  /// Divides the ranks into communicators of their own: suspends until this rank's is there, while a thread of the
  /// library's own waits.
  ///
  /// It takes its place in the order of calls at some moment before it returns: make no other call on this communicator
  /// meanwhile. Cancelling the task changes nothing.
  ///
  /// - Parameters:
  ///   - color: Ranks with equal ones form a communicator; nil for a rank in none.
  ///   - key: The new ranks are in the order of their keys, and for equal keys in that of their ranks here.
  ///   - timeout: Wall-clock limit, as in the blocking form; nil for the communicator's.
  /// - Returns: The communicator of this rank's color; nil for a color of nil.
  /// - Throws: ``TuttiError``, like the blocking form, or `.resources` when no thread can be started.
  public func split(color: Int?, key: Int = 0, timeout: Duration? = nil) async throws(TuttiError) -> Communicator? {
    try await onOwnThread { () throws(TuttiError) in try self.split(color: color, key: key, timeout: timeout) }
  }

  /// Makes a communicator of the same ranks with the same numbers: suspends until it is there, as the asynchronous form
  /// of a split does.
  ///
  /// - Parameter timeout: See ``split(color:key:timeout:)``.
  /// - Throws: ``TuttiError``, like a split.
  public func duplicate(timeout: Duration? = nil) async throws(TuttiError) -> Communicator {
    try await onOwnThread { () throws(TuttiError) in try self.duplicate(timeout: timeout) }
  }

  private func splitInTurn(_ color: Int?, _ key: Int, _ timeout: UInt64) throws(FailureReport) -> (any SplittingMember)? {
    var offer = SplitOffer()
    var ownFailure: FailureReport?
    if color != nil {
      // Whatever happens here, the others wait for this rank's word.
      do throws(FailureReport) { offer = try splittingMember.makeSplitOffer() } catch { ownFailure = error }
    }
    let own = SplitAnnouncement(color: color, key: key, place: offer.place, failure: ownFailure?.code, timeout: timeout)
    let announcements = try exchange(own.words, timeout) { SplitAnnouncement(words: $0) }
    let deadline = monotonicNanoseconds() &+ announcements.map(\.timeout).reduce(timeout, min)
    let groups = SplitAnnouncement.groups(announcements)

    var child: (any SplittingMember)?
    var outcomes = announcements.enumerated().map { SplitOutcome(failure: $1.failure, observer: $0) }
    if let group = groups[rank], group.ranks.allSatisfy({ outcomes[$0].failure == nil }) {
      do throws(FailureReport) { child = try splittingMember.split(offer, group, deadline: deadline) } catch {
        ownFailure = reframed(error, group)
        outcomes[rank] = SplitOutcome(failure: error.code, observer: group.observer(of: error))
      }
    }
    if splittingMember.sharesOutcomes, groups.values.contains(where: { $0.ranks.count > 1 }) {
      do throws(FailureReport) { outcomes = try agree(outcomes[rank], deadline) } catch {
        child?.abandon(because: error)
        throw error
      }
    }
    guard let group = groups[rank] else { return nil }
    // A rank that gave up is lost to those that dial it: what they have to say is not the cause.
    let causes = group.ranks.compactMap { outcomes[$0].cause }
    if let (code, failed) = causes.first(where: { $0.code != .peerLost }) ?? causes.first,
      ownFailure == nil || ownFailure?.code == .peerLost && failed != rank
    {
      child?.close()
      ownFailure = FailureReport(
        code, rank: rank, peer: failed, "\(describe(group)) was not formed: rank \(failed) could not take part (\(code))",
        advice: "Its own error says why; the communicator that was split goes on")
    }
    if let ownFailure { throw ownFailure }
    return child
  }

  /// Tells all ranks how this one's part in forming its group ended. Returns how everyone's did, by rank.
  private func agree(_ outcome: SplitOutcome, _ deadline: UInt64) throws(FailureReport) -> [SplitOutcome] {
    // Ranks give up connecting at about the same moment, and say so here a little later.
    let now = monotonicNanoseconds()
    let limit = max(deadline, now) - now + 5_000_000_000
    return try exchange([outcome.word], limit) { SplitOutcome(word: $0[0]) }
  }

  /// Lets all ranks tell each other some words: by an all-reduce by sum, in which every rank fills in its own and leaves the
  /// others' zero.
  ///
  /// - Parameter read: What a rank's words say; nil for words that no rank says in a split.
  /// - Throws: What the all-reduce throws, or `.mismatch`, when a rank called an all-reduce that looked the same. The
  ///   communicator is then aborted.
  private func exchange<Value>(
    _ own: [UInt64], _ timeout: UInt64, read: ([UInt64]) -> Value?
  ) throws(FailureReport) -> [Value] {
    let buffer = TuttiBuffer<Int64>(count: own.count * rankCount, repeating: 0)
    for (index, word) in own.enumerated() { buffer[rank * own.count + index] = Int64(bitPattern: word) }
    do throws(TuttiError) {
      try allReduce(buffer, .sum, timeout: .nanoseconds(Int64(clamping: timeout)))
    } catch {
      let report = error.report
      let advice = report.advice + (report.advice.isEmpty ? "" : ". ") + "A split is made of all-reduces of int64"
      throw report.with(advice: advice)
    }
    var values: [Value] = []
    for peer in 0..<rankCount {
      let words = buffer.pointer[peer * own.count..<(peer + 1) * own.count].map { UInt64(bitPattern: $0) }
      guard let value = read(words), peer != rank || words == own else { throw disagreement() }
      values.append(value)
    }
    return values
  }

  /// Aborts the communicator because some rank has added to the words of others. It was not this one; which it was cannot be
  /// told.
  private func disagreement() -> FailureReport {
    member.giveUp(
      FailureReport(
        .mismatch, rank: rank,
        "rank \(rank) splits the communicator, and another rank called an all-reduce of int64 of the same size",
        advice: "Every rank must make the same calls in the same order"))
  }

  private func describe(_ group: SplitGroup) -> String {
    "the communicator of color \(group.color) and \(group.ranks.count) ranks"
  }

  /// The failure of a communicator to be, in this one's numbers.
  private func reframed(_ error: FailureReport, _ group: SplitGroup) -> FailureReport {
    let peer = group.ranks.indices.contains(error.peer) ? group.ranks[error.peer] : -1
    let observer = group.observer(of: error)
    let names = peer < 0 || peer == error.peer ? "" : ", whose rank \(error.peer) is rank \(peer) here,"
    let found = observer == rank ? "" : "rank \(observer) found: "
    return error.with(
      rank: rank, peer: peer, message: "\(describe(group))\(names) was not formed: \(found)\(error.message)")
  }
}

extension CommunicatorMember {
  /// Ends a member that its rank will not use, when the others may not know it.
  fileprivate func abandon(because cause: FailureReport) {
    let words = "the communicator that this one is split from failed: \(cause.message)"
    giveUp(cause.with(rank: rank, peer: -1, message: words))
    close()
  }
}
