import TuttiEngine
import TuttiSystem

/// Tagged messages of one rank of one communicator: each is an envelope and, unless it fits inside, the message after it, on
/// the pair's lane for sends and receives. See `docs/decisions/0035-tagged-messages.md`.
///
/// A peer's envelope is received only while a receive waits that its message could be for. So a peer's messages wait at the
/// peer, held back by the lane's credit, until the program asks for one of them.
final class Mailbox: Sendable {
  /// The most bytes, all together, of kept messages that came before a receive for them.
  static let keptBytesMax = 256 << 20
  /// How long a waiter waits for one peer before it looks again, in nanoseconds.
  private static let lookNanoseconds: UInt64 = 1_000_000

  private let member: CommunicatorMember
  private let engine: Engine
  private let defaultTimeout: UInt64
  private let state = Lock(MailboxState())
  /// Envelopes that are being received, by peer.
  private let listening: Lock<[Listening]>
  /// Held while the two parts of a message are started, so that no other message comes between them.
  private let sending = Lock(())
  private let changed = WakeWord()

  init(_ member: CommunicatorMember, defaultTimeout: UInt64) {
    self.member = member
    self.defaultTimeout = defaultTimeout
    engine = member.engine
    listening = Lock(Array(repeating: Listening(), count: member.rankCount))
  }

  // MARK: Sending

  /// Starts to send a message. Returns the ticket of its last part, which ends last.
  func send(_ request: TransferRequest, tag: Int, owner: AnyObject?) throws(FailureReport) -> UInt64 {
    guard let type = DataType(rawValue: request.dataType) else { preconditionFailure("a message of no type") }
    let envelope = Envelope(tag: tag, count: Int(request.count), type: type)
    let memory = EnvelopeMemory()
    envelope.write(to: memory, message: request.memory)
    var request = request
    // Both parts have one limit.
    if !envelope.isInside { request.limit = engine.begun(request.limit) }
    return try sending.withLock { [request] _ throws(FailureReport) in
      let first = try engine.begin(
        transfer(isSend: true, request.peer, memory, request.limit), owner: memory)
      if envelope.isInside { return first }
      do throws(FailureReport) { return try engine.begin(request, owner: owner) } catch {
        // The envelope promises a message that does not come.
        throw member.giveUp(error)
      }
    }
  }

  private func transfer(
    isSend: Bool, _ peer: Int, _ memory: EnvelopeMemory, _ limit: TimeLimit
  ) -> TransferRequest {
    TransferRequest(
      isSend: isSend, peer: peer, memory: memory.bytes, count: 1, elementBytes: Envelope.byteCount,
      dataType: ForeignElements.envelope.rawValue, limit: limit)
  }

  // MARK: Receiving

  /// Starts a receive, and returns its number.
  func receive(
    _ memory: RawMemory, from source: Int?, tag: Int, limit: TimeLimit, owner: AnyObject?,
    onMatch: (@Sendable (Int) -> Void)?
  ) throws(FailureReport) -> UInt64 {
    if let failure = engine.failure { throw failure }
    let limit = engine.begun(limit)
    let (receive, found, hasArrived) = state.withLock { state in
      let receive = PostedReceive(
        number: state.makeNumber(), source: source, tag: tag, memory: memory, limit: limit,
        owner: owner, onMatch: onMatch)
      let found = state.post(receive)
      return (receive, found, found?.hasArrived == true)
    }
    if let found {
      // One that is still on its way is delivered when it has arrived.
      if hasArrived { try deliver(found, to: receive) } else { hasten(found, for: receive) }
      return receive.number
    }
    do throws(FailureReport) { for peer in peers(of: source) { try listen(to: peer) } } catch {
      state.withLock { $0.withdraw(receive.number) }
      // Nobody misses its limit any more. What fails here fails for the receives that need it.
      for peer in peers(of: source) { _ = try? listen(to: peer) }
      throw error
    }
    return receive.number
  }

  /// Gives the rest of a kept message the limit of the receive that has claimed it.
  private func hasten(_ message: UnexpectedMessage, for receive: PostedReceive) {
    guard let ticket = message.ticket else { preconditionFailure("a message on its way has a transfer") }
    engine.setLimit(receive.limit, of: ticket, isOptional: false)
  }

  private func peers(of source: Int?) -> ClosedRange<Int> { source.map { $0...$0 } ?? 0...member.rankCount - 1 }

  /// Receives the next envelope of a peer, if a receive waits for one and it is not being received already. Its limit is
  /// the earliest of those of the receives that wait. Where all of these take a message from any rank, the peer may leave.
  private func listen(to peer: Int) throws(FailureReport) {
    // Before the look, because it takes time, in which a receive with an earlier limit may be started.
    if let limit = wish(for: peer).limit { try engine.openLink(to: peer, within: limit) }
    guard listening.withLock({ $0[peer].beginLook() }) else { return }
    var started: (memory: EnvelopeMemory, ticket: UInt64)?
    repeat {
      do throws(FailureReport) { if let begun = try look(for: peer) { started = begun } } catch {
        // A receive that was started meanwhile would wait for an envelope that nobody receives.
        throw listening.withLock({ $0[peer].failLook() }) ? member.giveUp(error) : error
      }
    } while listening.withLock({ $0[peer].endLook() })
    // After the look: a handler may be called at once, and wait for a receive that needs a look of its own.
    if let (memory, ticket) = started { engine.notify(ticket) { [self] in take(memory, ticket, from: peer) } }
  }

  /// The earliest limit of the receives that wait for a message of `peer`, nil where none does, and whether the peer may
  /// leave.
  private func wish(for peer: Int) -> (limit: TimeLimit?, isOptional: Bool) {
    let own = member.rankCount > 1 ? member.rank : nil
    return state.withLock { ($0.limit(for: peer, rank: own), !$0.isNamed(peer)) }
  }

  /// - Returns: The transfer of an envelope, where one was started.
  private func look(for peer: Int) throws(FailureReport) -> (memory: EnvelopeMemory, ticket: UInt64)? {
    let (earliest, isOptional) = wish(for: peer)
    // An envelope that nobody waits for any more may still come.
    let limit = earliest ?? TimeLimit(nanoseconds: TimeLimit.never)
    let known = listening.withLock { $0[peer] }
    if known.isBusy {
      if let ticket = known.ticket { engine.setLimit(limit, of: ticket, isOptional: isOptional) }
      return nil
    }
    if earliest == nil { return nil }
    listening.withLock { $0[peer].beginTransfer() }
    let memory = EnvelopeMemory()
    let ticket = try engine.begin(
      transfer(isSend: false, peer, memory, limit), owner: memory, isOptional: isOptional)
    listening.withLock { $0[peer].note(ticket) }
    return (memory, ticket)
  }

  /// Handles the end of an envelope's transfer: the envelope has been received, or never will be.
  private func take(_ memory: EnvelopeMemory, _ ticket: UInt64, from peer: Int) {
    guard engine.isDone(ticket) else { return fail() }
    do throws(FailureReport) {
      guard let envelope = Envelope(memory) else {
        throw FailureReport(
          .mismatch, rank: member.rank, peer: peer, "rank \(peer) sent something that is not a message with a tag",
          advice: "Run the same version of the library on every rank")
      }
      let receive = state.withLock { $0.match(envelope, from: peer) }
      let finish = try receive.map { receive throws(FailureReport) in try accept(envelope, memory, from: peer, receive) }
      if receive == nil { try keep(envelope, memory, from: peer) }
      listening.withLock { $0[peer].endTransfer() }
      // A receive from any rank no longer waits for the other peers, whose limits change before its waiter goes on.
      let isFromAny = receive.map { $0.source == nil } ?? false
      for other in peers(of: isFromAny ? nil : peer) { try listen(to: other) }
      changed.wake()
      finish?()
    } catch {
      member.giveUp(error)
      fail()
    }
  }

  /// Gives a message to its receive. Returns what ends the receive, now or when the rest of the message is there.
  private func accept(
    _ envelope: Envelope, _ memory: EnvelopeMemory, from peer: Int, _ receive: PostedReceive
  ) throws(FailureReport) -> () -> Void {
    try check(envelope, from: peer, receive)
    if envelope.isInside {
      if envelope.messageBytes > 0, let destination = receive.memory.address {
        destination.copyMemory(from: Envelope.message(of: memory), byteCount: envelope.messageBytes)
      }
      return { [self] in end(receive, from: peer) }
    }
    let ticket = try receiveMessage(
      envelope, from: peer, into: receive.memory.address ?? Communicator.nowhere, limit: receive.limit,
      owner: receive.owner)
    state.withLock { $0.tickets[receive.number] = ticket }
    return { [self] in engine.notify(ticket) { [self] in engine.isDone(ticket) ? end(receive, from: peer) : fail() } }
  }

  /// Keeps a message that no receive waits for.
  private func keep(_ envelope: Envelope, _ memory: EnvelopeMemory, from peer: Int) throws(FailureReport) {
    // In one step, because messages of two peers may come at the same time.
    let fullBytes: Int? = state.withLock { $0.reserve(envelope.messageBytes) ? nil : $0.keptBytes }
    if let bytes = fullBytes {
      throw FailureReport(
        .resources, rank: member.rank, peer: peer,
        "rank \(peer) sent \(envelope.description), for which no receive was started, and there is no room to keep it: "
          + "\(bytes) bytes of such messages are kept already",
        advice: "Start the receives of large messages before waiting for a message that is sent after them")
    }
    let message = UnexpectedMessage(peer: peer, envelope: envelope, hasArrived: envelope.isInside)
    let destination = UnsafeMutableRawPointer(message.memory.pointer.baseAddress.unsafelyUnwrapped)
    if envelope.isInside {
      destination.copyMemory(from: Envelope.message(of: memory), byteCount: envelope.messageBytes)
      // A receive may have been started since one was looked for.
      return try keepOrDeliver(message)
    }
    let ticket = try receiveMessage(
      envelope, from: peer, into: destination, limit: TimeLimit(nanoseconds: defaultTimeout),
      owner: message.memory)
    message.ticket = ticket
    try keepOrDeliver(message)
    nonisolated(unsafe) let arriving = message  // Only handlers under the lock change it.
    engine.notify(ticket) { [self] in engine.isDone(ticket) ? arrive(arriving) : fail() }
  }

  /// Files a message, or gives it to a receive that was started meanwhile.
  private func keepOrDeliver(_ message: UnexpectedMessage) throws(FailureReport) {
    let claimant = state.withLock { state -> PostedReceive? in
      let claimant = state.match(message.envelope, from: message.peer)
      if let claimant { state.claim(message, for: claimant) }
      state.keep(message)
      return claimant
    }
    guard let claimant else { return }
    // Nothing is told yet of the arrival of one that is on its way.
    if message.hasArrived { try deliver(message, to: claimant) } else { hasten(message, for: claimant) }
  }

  /// Notes that a kept message has arrived whole, and delivers it where a receive has claimed it.
  private func arrive(_ message: UnexpectedMessage) {
    let claimant = state.withLock { _ in
      message.hasArrived = true
      return message.claimant
    }
    guard let claimant else { return }
    do throws(FailureReport) { try deliver(message, to: claimant) } catch {
      member.giveUp(error)
      fail()
    }
  }

  /// Copies a message that was kept to where it belongs.
  private func deliver(_ message: UnexpectedMessage, to receive: PostedReceive) throws(FailureReport) {
    try check(message.envelope, from: message.peer, receive)
    if message.envelope.messageBytes > 0, let destination = receive.memory.address {
      destination.copyMemory(
        from: UnsafeRawPointer(message.memory.pointer.baseAddress.unsafelyUnwrapped),
        byteCount: message.envelope.messageBytes)
    }
    state.withLock { $0.drop(message) }
    end(receive, from: message.peer)
  }

  private func receiveMessage(
    _ envelope: Envelope, from peer: Int, into memory: UnsafeMutableRawPointer, limit: TimeLimit, owner: AnyObject?
  ) throws(FailureReport) -> UInt64 {
    try engine.begin(
      TransferRequest(
        isSend: false, peer: peer, memory: memory, count: UInt64(envelope.count), elementBytes: envelope.type.size,
        dataType: envelope.type.rawValue, limit: limit),
      owner: owner)
  }

  /// Refuses a message whose count or type is not that of its receive.
  private func check(_ envelope: Envelope, from peer: Int, _ receive: PostedReceive) throws(FailureReport) {
    if envelope.type == receive.memory.type && envelope.count == receive.memory.count { return }
    throw member.giveUp(
      FailureReport(
        .mismatch, rank: member.rank, peer: peer,
        "rank \(peer) sent \(envelope.description) to rank \(member.rank), which receives "
          + "\(receive.memory.type) x \(receive.memory.count) with that tag",
        advice: "A message and its receive have the same count and type"))
  }

  // MARK: The end of receives

  private func end(_ receive: PostedReceive, from peer: Int) {
    receive.onMatch?(peer)
    let handlers = state.withLock { $0.end(receive.number) }
    changed.wake()
    for handler in handlers { handler() }
  }

  /// Calls the handlers of all receives, because the communicator has failed and so have they.
  private func fail() {
    let handlers = state.withLock { $0.takeHandlers() }
    changed.wake()
    for handler in handlers { handler() }
  }

  /// Bytes of the messages that are kept.
  var keptBytes: Int { state.withLock { $0.keptBytes } }

  func isDone(_ number: UInt64) -> Bool { state.withLock { $0.pending[number] == nil } }

  /// Calls `handler` once, when the receive has ended, well or not.
  func notify(_ number: UInt64, _ handler: @escaping @Sendable () -> Void) {
    let isToCome = state.withLock { engine.failure == nil && $0.add(handler, to: number) }
    if !isToCome { handler() }
  }

  /// Waits until the receive has ended, at most so many nanoseconds; this thread makes the progress meanwhile.
  ///
  /// - Returns: Whether it has ended.
  func wait(for number: UInt64, atMost nanoseconds: UInt64) throws(FailureReport) -> Bool {
    let deadline = engine.clock.now() &+ nanoseconds
    while true {
      let seen = changed.value
      if isDone(number) { return true }
      if let failure = engine.failure { throw failure }
      let now = engine.clock.now()
      let left = deadline > now ? deadline - now : 0
      // Any message may change what the receive waits for, so no single wait is long.
      let nap = min(left, Self.lookNanoseconds)
      if let ticket = awaited(number) {
        _ = try engine.wait(for: ticket, atMost: nap)
      } else if nap > 0 {
        engine.clock.wait(atMost: nap) { changed.wait(while: seen, nanoseconds: $0) }
      }
      if left == 0 { return isDone(number) }
    }
  }

  /// A transfer that has not ended and that the receive waits for.
  private func awaited(_ number: UInt64) -> UInt64? {
    let (ticket, source, isWaiting) = state.withLock { state -> (UInt64?, Int?, Bool) in
      let receive = state.waiting.first { $0.number == number }
      return (state.tickets[number], receive?.source, receive != nil)
    }
    if let ticket { return engine.isDone(ticket) ? nil : ticket }
    if !isWaiting { return nil }
    let tickets = listening.withLock { listening in peers(of: source).compactMap { listening[$0].ticket } }
    return tickets.first { !engine.isDone($0) }
  }
}
