import Glibc
import TuttiSystem

/// One rank's meeting with the others of its job: it knows all of them, and has no membership yet. Its owner checks whether
/// the ranks fit together, and then begins, or says why not. Rank 0 knows all ranks first: it sends the others their table
/// when it begins.
///
/// It belongs to one thread. The owner calls exactly one of ``begin()`` and ``refuse(_:)``, once; a meeting that is dropped
/// without either closes what it has, which the others take for this rank's end.
package final class Meeting {
  /// This rank's part.
  enum Role {
    /// There are no others.
    case alone
    case leader(RendezvousLeader)
    /// It has the table of ranks from its parent in the control tree, over the connection that will be their edge.
    case guest(RendezvousGuest, parent: FramedConnection, table: [UInt8])
  }

  package let rank: Int
  /// By rank, and equal on all ranks.
  package let members: [MemberRecord]
  private let communicator: CommunicatorID
  private let secret: JobSecret
  private let role: Role
  private let service: ServiceThread?
  private let listening: MemberListeners.Settings?
  /// Until the membership takes them.
  private var listeners: [PassedDescriptor]
  private let deadline: UInt64
  private let patience: LinkPatience
  private let clock: MonotonicClock

  init(
    rank: Int, members: [MemberRecord], communicator: CommunicatorID, secret: JobSecret, role: Role, service: ServiceThread?,
    listening: MemberListeners.Settings?, listeners: [PassedDescriptor], deadline: UInt64,
    patience: LinkPatience, clock: MonotonicClock
  ) {
    self.rank = rank
    self.members = members
    self.communicator = communicator
    self.secret = secret
    self.role = role
    self.service = service
    self.listening = listening
    self.listeners = listeners
    self.deadline = deadline
    self.patience = patience
    self.clock = clock
  }

  /// What rank 0 and this rank have said to each other so far; on rank 0, to all.
  package var traffic: ControlTraffic {
    switch role {
    case .alone: ControlTraffic()
    case .leader(let leader): leader.traffic
    case .guest(let guest, _, _): guest.connection.traffic
    }
  }

  deinit {
    if case .leader(let leader) = role { leader.close() }
  }

  /// Makes this rank's membership. Returns when every rank has come this far and the control tree stands.
  ///
  /// - Throws: What kept this rank or another one from it; all ranks get the same report where they can be reached.
  package func begin() throws(FailureReport) -> Membership {
    let membership: Membership
    do throws(FailureReport) { membership = try makeMembership() } catch { throw refuse(error) }
    do throws(FailureReport) {
      switch role {
      case .alone: break
      case .leader(let leader): try begin(membership, leader)
      case .guest(let guest, let parent, _): try begin(membership, guest, parent)
      }
      return membership
    } catch {
      membership.closeEverything()
      throw refuse(error)
    }
  }

  private func makeMembership() throws(FailureReport) -> Membership {
    let table: [UInt8]
    switch role {
    case .alone: table = []
    case .leader(let leader): table = try leader.table(members)
    case .guest(_, _, let received): table = received
    }
    return Membership(
      rank: rank, members: members, table: table, communicator: communicator, secret: secret, service: service,
      listening: listening, patience: patience, clock: clock)
  }

  private func begin(_ membership: Membership, _ leader: RendezvousLeader) throws(FailureReport) {
    try membership.makeBoard()
    try membership.startListening(takeListeners())
    leader.announce(communicator, members)
    while !leader.haveAllAttached(isOwnAttached: membership.isAttached) {
      _ = membership.awaitNeighbour(orInputOn: leader.descriptor, until: leader.deadline)
      try leader.takeAttached(members)
    }
    leader.begin()
    try membership.establish()
    leader.close()
  }

  private func begin(
    _ membership: Membership, _ guest: RendezvousGuest, _ parent: FramedConnection
  ) throws(FailureReport) {
    try membership.makeBoard()
    membership.attachToParent(over: parent)
    try membership.startListening(takeListeners())
    try membership.fetchBoard(deadline: deadline)
    try awaitChildren(of: membership, guest)
    guest.send(.attached)
    guard case .begin = try guest.receive() else {
      throw FailureReport(.rendezvous, rank: rank, peer: 0, "rank 0 sent something other than the word to begin")
    }
    try membership.establish()
  }

  /// Waits for the children's connections, and for a word of rank 0 that they will not come.
  private func awaitChildren(of membership: Membership, _ guest: RendezvousGuest) throws(FailureReport) {
    while !membership.isAttached {
      let hasInput = membership.awaitNeighbour(orInputOn: guest.connection.descriptor, until: deadline)
      if hasInput || clock.now() >= deadline { try guest.receiveReason() }
    }
  }

  private func takeListeners() -> [PassedDescriptor] {
    defer { listeners = [] }
    return listeners
  }

  /// Ends the join for all ranks, because this one cannot go on.
  ///
  /// - Returns: What to throw: the reason, or one of another rank's that came before it.
  package func refuse(_ reason: FailureReport) -> FailureReport {
    // The listeners close last: whoever finds them closed tells rank 0 of it, and this reason is to come before that.
    defer { listeners = [] }
    switch role {
    case .alone: return reason
    case .leader(let leader): return leader.refused(reason)
    case .guest(let guest, _, _): return guest.refused(reason)
    }
  }
}
