import TuttiSystem
import TuttiTransport

/// Packs what a send or receive is into the upper half of its signature. It fits there without being hashed, so no peer has
/// to be asked when two ranks differ.
enum TransferCall {
  static func word(_ dataType: UInt8) -> UInt32 { 0x7000_0000 | UInt32(dataType) }

  static func dataType(_ signature: CallSignature) -> UInt8 { UInt8(truncatingIfNeeded: signature.call) }
}

/// Sends and receives as calls: how they start. The k-th send from rank a to rank b meets the k-th receive on b from a.
extension Engine {
  /// Sends or receives on the caller's thread.
  ///
  /// - Throws: `.resources` when ``PointToPoint/capacity`` transfers are in flight, which leaves the communicator as
  ///   it is; or the communicator's first failure: the memory is then unspecified.
  package func run(_ request: TransferRequest) throws(FailureReport) {
    lock.lock()
    let ticket: UInt64
    do throws(FailureReport) {
      let limit = try prepare(request, room: 1)
      ticket = enqueue(request, limit, owner: nil)
    } catch {
      lock.unlock()
      throw error
    }
    passForLeader()
    try driveUntilDone(ticket)
  }

  /// Sends and receives at the same time, on the caller's thread. Throws as ``run(_:)-(TransferRequest)``, before
  /// anything is sent or after the communicator has failed.
  package func run(_ first: TransferRequest, with second: TransferRequest) throws(FailureReport) {
    lock.lock()
    let tickets: (UInt64, UInt64)
    do throws(FailureReport) {
      let limits = (try prepare(first, room: 2), try prepare(second, room: 2))
      tickets = (enqueue(first, limits.0, owner: nil), enqueue(second, limits.1, owner: nil))
    } catch {
      lock.unlock()
      throw error
    }
    passForLeader()
    try driveUntilDone(tickets.1)
    try wait(for: tickets.0)
  }

  /// Starts a send or receive and returns its ticket; it makes progress in the background and in ``wait(for:)``.
  ///
  /// Returns at once, except where this rank has to dial a link first.
  ///
  /// - Parameters:
  ///   - owner: Keeps the memory alive; released when the transfer ends.
  ///   - isOptional: A receive whose peer may leave without sending, because a message of another rank will do as well.
  package func begin(
    _ request: TransferRequest, owner: AnyObject?, isOptional: Bool = false
  ) throws(FailureReport) -> UInt64 {
    lock.lock()
    defer { lock.unlock() }
    try startBackground()
    let limit = try prepare(request, room: 1)
    let ticket = enqueue(request, limit, owner: owner)
    if isOptional { transfers.pointee.queue(request.peer, isSend: false).pointee.optional = ticket }
    _ = pass()
    noteBegin()
    if core.pointee.hasDueHandlers { _ = runDueHandlers(isLeading: false) }
    return ticket
  }

  /// Opens the link to `peer`, where this rank has to dial it and no thread does so already. What is then started with that
  /// peer waits for nobody.
  package func openLink(to peer: Int, within limit: TimeLimit) throws(FailureReport) {
    lock.lock()
    defer { lock.unlock() }
    if hasFailed.load(ordering: .acquiring) { throw failure! }
    var limit = limit
    if peer != rank && core.pointee.links[peer] == nil { try dial(peer, &limit) }
  }

  /// Gives a started receive another limit, which begins now unless it has begun, and says whether its peer may leave; one
  /// that has ended is left alone.
  package func setLimit(_ limit: TimeLimit, of ticket: UInt64, isOptional: Bool) {
    lock.lock()
    defer { lock.unlock() }
    if tickets.isDone(ticket) || hasFailed.load(ordering: .acquiring) { return }
    var limit = limit
    limit.begin(at: ownTime())
    let transfer = transfers.pointee.record(TicketTable.index(ticket))
    let isEarlier = transfer.pointee.limit.deadline == 0 || limit.deadline < transfer.pointee.limit.deadline
    transfer.pointee.limit = limit
    // Another receive of the same peer may be the optional one.
    let queue = transfers.pointee.queue(transfer.pointee.peer, isSend: false)
    if isOptional { queue.pointee.optional = ticket } else if queue.pointee.optional == ticket { queue.pointee.optional = 0 }
    transfers.pointee.nextDeadline = 0
    // A driver that sleeps has set its alarm by the old limit.
    if isEarlier { doorbell.ring() }
  }

  /// Opens the link, where this rank has to dial it, and checks that there is room. May drop the lock meanwhile.
  ///
  /// - Returns: The limit of the call. Where a link was opened it has begun: the time that this took is part of it.
  @inline(__always)
  private func prepare(_ request: TransferRequest, room: Int) throws(FailureReport) -> TimeLimit {
    if hasFailed.load(ordering: .acquiring) { throw failure! }
    var limit = request.limit
    if request.peer != rank && core.pointee.links[request.peer] == nil { try dial(request.peer, &limit) }
    if !transfers.pointee.hasRoom(for: room) { throw crowded() }
    return limit
  }

  @inline(never)
  private func dial(_ peer: Int, _ limit: inout TimeLimit) throws(FailureReport) {
    takeInLinks()
    if core.pointee.links[peer] != nil { return }
    limit.begin(at: ownTime())
    let deadline = limit.deadline &+ core.pointee.stoppedTime
    lock.unlock()
    do throws(FailureReport) {
      try links.openLink(to: peer, deadline: deadline, giveUp: { failure })
    } catch {
      let failure = report(delegate.cause(of: error))
      lock.lock()
      throw failure
    }
    lock.lock()
    // The time that this took counts: nobody has looked whether the process was stopped meanwhile.
    noteTime()
    takeInLinks()
    if hasFailed.load(ordering: .acquiring) { throw failure! }
  }

  @inline(never)
  private func crowded() -> FailureReport {
    FailureReport(
      .resources, rank: rank, "\(PointToPoint.capacity) sends and receives are in flight already",
      advice: "Wait for some of them before starting more")
  }

  /// Appends the transfer to its queue and returns its ticket.
  @inline(__always)
  private func enqueue(_ request: TransferRequest, _ limit: TimeLimit, owner: AnyObject?) -> UInt64 {
    lock.assertHeld()
    let transfers = transfers
    let index = transfers.pointee.take()
    let queue = transfers.pointee.queue(request.peer, isSend: request.isSend)
    let number = queue.pointee.started + 1
    queue.pointee.started = number
    let bytes = Int(request.count) * request.elementBytes
    let registered = registered(request.memory, bytes)
    if registered != InPlace.nowhere { queue.pointee.mayGrant = true }
    transfers.pointee.record(index).initialize(
      to: Transfer(
        peer: request.peer, isSend: request.isSend,
        call: CallSignature(call: TransferCall.word(request.dataType), operationNumber: number),
        count: request.count, base: request.memory, bytes: bytes, registered: registered, number: number,
        limit: limit, owner: owner.map(Unmanaged.passRetained)))
    transfers.pointee.append(index, request.peer, isSend: request.isSend)
    transfers.pointee.nextDeadline = 0
    core.pointee.inFlight += 1
    core.pointee.transfersInFlight += 1
    return tickets.ticket(index)
  }
}
