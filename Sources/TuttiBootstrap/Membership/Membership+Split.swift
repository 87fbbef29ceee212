import TuttiSystem

// Splitting: a membership of some of another one's ranks. They know and trust each other, so there is no rendezvous: each
// rank opens its listeners, all tell each other through the communicator that is being split where these are, and set up a
// control tree.

/// What others must know of a rank to find it in a communicator that is being made. It is sent to them.
package struct SplitPlace: Hashable, Sendable {
  /// Drawn by this rank. The lowest rank's becomes the new communicator's.
  package let number: CommunicatorID
  /// The port of its TCP listener, at the addresses that are known; 0 when it has none.
  package let port: UInt16

  package init(number: CommunicatorID, port: UInt16) {
    self.number = number
    self.port = port
  }
}

/// A rank's place in a communicator to be, and the listeners there. One thread's; owns the listeners until the membership
/// takes them.
package final class SplitOffer {
  package let place: SplitPlace
  private var listeners: [PassedDescriptor]

  fileprivate init(place: SplitPlace, listeners: [PassedDescriptor]) {
    self.place = place
    self.listeners = listeners
  }

  /// The offer of a rank that needs no listeners.
  package convenience init() {
    self.init(place: SplitPlace(number: .random(), port: 0), listeners: [])
  }

  fileprivate func handOver() -> [PassedDescriptor] {
    defer { listeners = [] }
    return listeners
  }

  /// Closes the listeners, if they are still its own: whoever dials them is refused instead of kept waiting.
  func close() { listeners = [] }
}

extension Membership {
  /// Opens the listeners of a communicator that will be split from this one. Local.
  ///
  /// - Throws: `.resources`, `.transport`: descriptors or ports ran out.
  package func makeSplitOffer() throws(FailureReport) -> SplitOffer {
    guard let listening else { return SplitOffer() }
    let number = CommunicatorID.random()
    let listeners = try MemberListeners(rank: rank, listening, number: number)
    let place = SplitPlace(number: number, port: listeners.addresses.first?.port ?? 0)
    return SplitOffer(place: place, listeners: listeners.handOver())
  }

  /// Makes the membership of a communicator of some of this one's ranks. All of them call it; returns when this rank's edges
  /// of the new control tree stand. Whether the others' do, they have yet to tell each other.
  ///
  /// - Parameters:
  ///   - ranks: This one's ranks, in the order of their new numbers; this rank is one of them.
  ///   - places: Their places, in the same order.
  ///   - deadline: Monotonic nanoseconds.
  /// - Throws: What kept this rank or another one from connecting; rank and peer are numbered anew. The others of the group
  ///   hear of it, if they can be reached. This membership stays as it is.
  package func split(
    _ offer: SplitOffer, ranks: [Int], places: [SplitPlace], deadline: UInt64
  ) throws(FailureReport) -> Membership {
    let child = makeChild(ranks: ranks, places: places)
    if child.service == nil { return child }
    do throws(FailureReport) {
      try child.makeBoard()
      try child.startListening(offer.handOver())
      try child.fetchBoard(deadline: deadline)
      try child.attachToParent(deadline: deadline)
      try child.awaitNeighbours(deadline: deadline)
      try child.establish()
      // A neighbour that gave up has said why before its edge came to an end.
      if let cause = child.firstCause { throw cause }
      return child
    } catch {
      offer.close()
      // When the parent has failed, that is the cause, and the error here follows from it.
      child.giveUp(firstCause ?? error.observed(by: child.rank))
      throw child.firstCause ?? error
    }
  }

  /// Makes this rank's membership of a group, without any connection.
  func makeChild(ranks: [Int], places: [SplitPlace]) -> Membership {
    guard let own = ranks.firstIndex(of: rank) else { preconditionFailure("a rank splits itself off into another's group") }
    let records = zip(ranks, places).enumerated().map { number, member in
      var record = members[member.0]
      record.rank = number
      record.addresses = record.addresses.map { $0.withPort(member.1.port) }
      record.listenerNumber = member.1.number
      return record
    }
    let isAlone = records.count == 1
    return Membership(
      rank: own, members: records, communicator: places[0].number, secret: secret, service: isAlone ? nil : service,
      listening: isAlone ? nil : listening, origin: isAlone ? nil : self, patience: patience, clock: clock)
  }

  private func awaitNeighbours(deadline: UInt64) throws(FailureReport) {
    // What ends it otherwise rings no bell.
    while !isAttached, !isGivenUp, clock.now() < deadline {
      _ = awaitNeighbour(until: min(deadline, clock.now() + 50 * Clock.millisecond))
    }
    let missing = missingNeighbours
    if missing.isEmpty { return }
    let (cause, origin) = state.withLock { ($0.machines.failures.firstCause, $0.origin) }
    if let cause = cause ?? origin?.firstCause { throw cause }
    throw FailureReport(
      .timeout, rank: rank, peer: missing[0],
      "\(members[missing[0]].description) did not open its control connection in time",
      advice: "Its process is stopped or overloaded, or cut off from this one")
  }

  /// Ends a membership that does not come to stand, and tells those who wait for this rank why. Bounded: about a second.
  func giveUp(_ reason: FailureReport) {
    // Whoever dials this rank now is refused, and there are descriptors again if it was these that ran out.
    state.withLock { $0.closeAcceptor() }
    if let parent = tree.parent(of: rank), missingNeighbours.contains(parent) {
      try? attachToParent(deadline: clock.now() + Clock.second, isLastWord: true)
    }
    report(reason)
    closeEverything()
  }
}
