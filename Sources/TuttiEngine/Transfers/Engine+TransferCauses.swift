import TuttiSystem
import TuttiTransport

/// Causes to give up sends and receives: deadlines, broken links, messages that do not fit.
///
/// Everything here runs under the lock but what the returned closures do.
extension Engine {
  // MARK: Deadlines

  /// Finds a transfer whose time is over. That time begins when the transfer is first seen to wait. Returns a function that
  /// makes the report, to be called without the lock.
  func findExpiredTransfer(_ now: UInt64) -> (() -> FailureReport)? {
    lock.assertHeld()
    let transfers = transfers
    if now < transfers.pointee.nextDeadline { return nil }
    var earliest = UInt64.max
    for place in 0..<transfers.pointee.activeCount {
      let peer = Int(transfers.pointee.activePeers[place])
      for side in 0..<2 {
        let first = transfers.pointee.queue(peer, isSend: side == 0).pointee.first
        var index = first
        while index >= 0 {
          let transfer = transfers.pointee.record(index)
          transfer.pointee.limit.begin(at: now)
          let deadline = transfer.pointee.limit.deadline
          if now >= deadline { return timeout(of: transfer) }
          if now >= transfer.pointee.limit.askTime {
            // What comes later in the queue waits for the same.
            if index == first && !transfer.pointee.limit.isAsked {
              transfer.pointee.limit.isAsked = true
              inquire(wait(of: transfer), until: deadline)
            }
            earliest = min(earliest, deadline)
          } else {
            earliest = min(earliest, transfer.pointee.limit.askTime)
          }
          index = transfer.pointee.next
        }
      }
    }
    transfers.pointee.nextDeadline = earliest
    return nil
  }

  /// Whether the limit of a transfer in flight has begun. In each queue, the first one's begins first.
  var hasRunningTransferLimit: Bool {
    let transfers = transfers
    for place in 0..<transfers.pointee.activeCount {
      for isSend in [true, false] {
        let first = transfers.pointee.queue(Int(transfers.pointee.activePeers[place]), isSend: isSend).pointee.first
        if first >= 0 && transfers.pointee.record(first).pointee.limit.deadline != 0 { return true }
      }
    }
    return false
  }

  /// Describes the wait for a transfer, so that the other ranks can be asked about it.
  private func wait(of transfer: UnsafeMutablePointer<Transfer>) -> AwaitedCall {
    let message = TransferIdentity(transfer)
    return AwaitedCall(
      number: 0, peer: message.peer, step: -1, nanoseconds: transfer.pointee.limit.nanoseconds,
      description: message.description(delegate))
  }

  private func timeout(of transfer: UnsafeMutablePointer<Transfer>) -> () -> FailureReport {
    let (rank, limit) = (rank, transfer.pointee.limit.nanoseconds)
    let message = TransferIdentity(transfer)
    if message.peer != rank { return timeout(of: wait(of: transfer)) }
    let operation = message.description(delegate)
    return {
      FailureReport(
        .timeout, rank: rank, peer: rank,
        "timed out after \(secondsText(Double(limit) / 1e9)) s: rank \(rank) waits for itself, and has not called the matching "
          + (message.isSend ? "receive" : "send"),
        advice: "Start the send and the receive of a message to the same rank before waiting for either",
        operation: operation)
    }
  }

  /// How long a waiter may sleep without missing a deadline, or a link that is being opened.
  func transferParkBound(_ now: UInt64) -> UInt64 {
    let deadline = transfers.pointee.nextDeadline
    var bound = deadline > now ? deadline - now : 0
    for place in 0..<transfers.pointee.activeCount {
      let peer = Int(transfers.pointee.activePeers[place])
      if peer != rank && core.pointee.links[peer] == nil { bound = min(bound, 1_000_000) }
    }
    return bound
  }

  // MARK: Who is waited for

  /// Lets a diagnosis see that this rank waits for the transfer with this ticket. Returns false where the number is no
  /// ticket, or the transfer is done.
  func publishAwaitedTransfer(_ ticket: UInt64) -> Bool {
    if ticket & TicketTable.ticketBit == 0 || tickets.isDone(ticket) { return false }
    publish(transfers.pointee.record(TicketTable.index(ticket)))
    return true
  }

  /// Lets a diagnosis see one of the transfers in flight: a receive where there is one, as a peer may receive late
  /// for good reasons.
  func publishAnyTransfer() {
    let transfers = transfers
    var found: Int32 = -1
    for place in 0..<transfers.pointee.activeCount {
      let peer = Int(transfers.pointee.activePeers[place])
      let receive = transfers.pointee.queue(peer, isSend: false).pointee.first
      found = receive >= 0 ? receive : transfers.pointee.queue(peer, isSend: true).pointee.first
      if receive >= 0 { break }
    }
    if found >= 0 { publish(transfers.pointee.record(found)) }
  }

  private func publish(_ transfer: UnsafeMutablePointer<Transfer>) {
    waitingFor.store(transfer.pointee.peer, ordering: .relaxed)
    awaitedMessage.store(transfer.pointee.number << 1 | (transfer.pointee.isSend ? 1 : 0), ordering: .relaxed)
    awaitedType.store(UInt64(TransferCall.dataType(transfer.pointee.call)), ordering: .relaxed)
    awaitedCount.store(transfer.pointee.count, ordering: .relaxed)
  }

  /// The send or receive this rank last saw itself waiting in; nil when that was a collective. Without the lock.
  var awaitedTransfer: TransferIdentity? {
    let (peer, message) = (waitingFor.load(ordering: .relaxed), awaitedMessage.load(ordering: .relaxed))
    if peer < 0 || message == 0 { return nil }
    return TransferIdentity(
      isSend: message & 1 == 1, peer: peer, number: message >> 1,
      dataType: UInt8(truncatingIfNeeded: awaitedType.load(ordering: .relaxed)),
      count: awaitedCount.load(ordering: .relaxed))
  }

  // MARK: Links

  /// Whether a transfer still has something to send on a broken link, or expects a segment that has not arrived.
  func isNeededByTransfers(_ link: Link) -> Bool {
    let sends = transfers.pointee.queue(link.peer, isSend: true)
    if sends.pointee.first >= 0 {
      let newest = transfers.pointee.record(sends.pointee.last).pointee.lastSequence
      if sends.pointee.current >= 0 || link.released(Lane.pointToPoint) < newest { return true }
    }
    return transfers.pointee.isAwaited(transfers.pointee.queue(link.peer, isSend: false))
      && !link.hasArrival(Lane.pointToPoint)
  }

  /// Finds a rank that has gone without opening the link that a transfer needs, or the last of those that a receive would do
  /// with.
  func findAbsenceForTransfers() -> FailureReport? {
    let transfers = transfers
    var (losses, last): (Int, FailureReport?) = (0, nil)
    for place in 0..<transfers.pointee.activeCount {
      let peer = Int(transfers.pointee.activePeers[place])
      if peer == rank { continue }
      let receives = transfers.pointee.queue(peer, isSend: false)
      let link = core.pointee.links[peer]?.takeUnretainedValue()
      let isSending = transfers.pointee.queue(peer, isSend: true).pointee.first >= 0
      let isNeeded = isSending || transfers.pointee.isAwaited(receives)
      if isNeeded && link == nil, let loss = links.absence(of: peer) { return loss }
      guard transfers.pointee.isOptional(receives) else { continue }
      if let link, link.hasArrival(Lane.pointToPoint) { continue }
      guard let loss = link == nil ? links.absence(of: peer) : link?.failure else { continue }
      losses += 1
      last = loss
    }
    return losses == rankCount - 1 ? last : nil
  }

  // MARK: Messages that do not fit

  /// Notes that a message is not the one that its receiver has called for.
  @inline(never)
  func noteMismatch(
    _ link: Link, _ arrival: UnsafePointer<Arrival>, _ transfer: UnsafeMutablePointer<Transfer>, _ bytes: Int
  ) {
    if core.pointee.pendingCause != nil { return }
    let (theirs, ours) = (arrival.pointee.call, transfer.pointee.call)
    if theirs == ours && arrival.pointee.count == transfer.pointee.count || theirs.operationNumber != ours.operationNumber {
      core.pointee.pendingCause = FailureReport(
        .mismatch, rank: rank, peer: link.peer,
        "rank \(link.peer) sent \(arrival.pointee.bytes) bytes of its message \(theirs.operationNumber) where rank \(rank) expects "
          + "\(bytes) of message \(ours.operationNumber)",
        advice: "All ranks of a job must run the same version of Tutti", transport: link.transport.name)
      return
    }
    let sent = TransferIdentity(
      isSend: true, peer: rank, number: transfer.pointee.number, dataType: TransferCall.dataType(theirs),
      count: arrival.pointee.count)
    noteMismatch(sent, transfer, transport: link.transport.name)
  }

  /// Notes that the send and the receive of a message to this rank itself differ.
  @inline(never)
  func noteMismatchWithSelf(_ source: UnsafeMutablePointer<Transfer>, _ destination: UnsafeMutablePointer<Transfer>) {
    if core.pointee.pendingCause == nil { noteMismatch(TransferIdentity(source), destination, transport: "") }
  }

  private func noteMismatch(_ sent: TransferIdentity, _ transfer: UnsafeMutablePointer<Transfer>, transport: String) {
    let expected = TransferIdentity(transfer)
    let sender = expected.peer
    core.pointee.pendingCause = FailureReport(
      .mismatch, rank: rank, peer: sender,
      "rank \(sender) sent \(sent.elements(delegate)) as its message \(sent.number) to rank \(rank), which receives "
        + expected.elements(delegate),
      advice: "The k-th send from one rank to another meets the k-th receive there, and both have the same count and type",
      operation: expected.description(delegate), transport: transport)
  }
}
