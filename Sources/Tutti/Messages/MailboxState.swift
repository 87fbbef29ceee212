import TuttiEngine

/// A receive of a tagged message that has been started.
struct PostedReceive: @unchecked Sendable {
  // @unchecked: its memory and what keeps that alive are the receive's, until it has ended.
  let number: UInt64
  /// nil for any rank.
  let source: Int?
  let tag: Int
  let memory: RawMemory
  /// Its limit of time, which has begun.
  let limit: TimeLimit
  /// What keeps its memory alive.
  let owner: AnyObject?
  /// Is told which rank the message is from, before the receive is done.
  let onMatch: (@Sendable (Int) -> Void)?

  func accepts(_ tag: Int, from peer: Int) -> Bool { self.tag == tag && (source == nil || source == peer) }
}

/// A message that came before its receive was started, while the rank waited for another one of the same peer.
final class UnexpectedMessage {
  let peer: Int
  let envelope: Envelope
  let memory: TuttiBuffer<UInt8>
  var hasArrived: Bool
  /// The ticket of the transfer that receives it; nil for one that came inside its envelope.
  var ticket: UInt64?
  /// The receive that takes it, once it has arrived.
  var claimant: PostedReceive?

  init(peer: Int, envelope: Envelope, hasArrived: Bool) {
    self.peer = peer
    self.envelope = envelope
    self.hasArrived = hasArrived
    memory = TuttiBuffer(count: envelope.messageBytes, repeating: 0)
  }
}

/// Which message belongs to which receive: decides, and neither waits nor moves anything.
///
/// Messages of one rank with one tag meet their receives in order. Invariant: no message that is kept
/// fits a receive that waits, unless that has claimed it.
struct MailboxState {
  /// Receives that no message has met, in the order they were started.
  private(set) var waiting: [PostedReceive] = []
  /// Messages that no receive has met, or whose claimant still waits for the rest of them, in the order they came.
  private(set) var kept: [UnexpectedMessage] = []
  /// Bytes of all of `kept`, and of those that have room and are about to be kept.
  private(set) var keptBytes = 0
  /// The receives that have not ended, with the handlers of their ends.
  private(set) var pending: [UInt64: [@Sendable () -> Void]] = [:]
  /// The tickets of messages that are on their way to receives that have met them.
  var tickets: [UInt64: UInt64] = [:]
  private var lastNumber = WorkNumber.receives

  mutating func makeNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }

  /// Takes in a receive. Returns the message that was kept for it; nil where it has to wait for one.
  mutating func post(_ receive: PostedReceive) -> UnexpectedMessage? {
    pending[receive.number] = []
    guard let index = kept.firstIndex(where: { $0.claimant == nil && receive.accepts($0.envelope.tag, from: $0.peer) })
    else {
      waiting.append(receive)
      return nil
    }
    claim(kept[index], for: receive)
    return kept[index]
  }

  /// Gives a message to a receive, which waits for the transfer of what is still on its way.
  mutating func claim(_ message: UnexpectedMessage, for receive: PostedReceive) {
    message.claimant = receive
    if !message.hasArrived { tickets[receive.number] = message.ticket }
  }

  /// Takes back a receive that could not be started.
  mutating func withdraw(_ number: UInt64) {
    waiting.removeAll { $0.number == number }
    pending[number] = nil
  }

  /// Takes out the receive that a message belongs to, and returns it; nil where the message has to be kept.
  mutating func match(_ envelope: Envelope, from peer: Int) -> PostedReceive? {
    waiting.firstIndex { $0.accepts(envelope.tag, from: peer) }.map { waiting.remove(at: $0) }
  }

  /// Takes room for a message that is to be kept. Returns whether there is any.
  mutating func reserve(_ bytes: Int) -> Bool {
    guard bytes <= Mailbox.keptBytesMax - keptBytes else { return false }
    keptBytes += bytes
    return true
  }

  /// Keeps a message, for which there is room.
  mutating func keep(_ message: UnexpectedMessage) {
    assert(message.envelope.messageBytes <= keptBytes, "room is reserved before a message is received")
    kept.append(message)
  }

  /// Drops a message that its claimant has received.
  mutating func drop(_ message: UnexpectedMessage) {
    kept.removeAll { $0 === message }
    keptBytes -= message.envelope.messageBytes
  }

  /// Ends a receive, and returns the handlers to call.
  mutating func end(_ number: UInt64) -> [@Sendable () -> Void] {
    tickets[number] = nil
    return pending.removeValue(forKey: number) ?? []
  }

  /// Adds a handler that is called at the end of a receive. Returns whether that is still to come.
  mutating func add(_ handler: @escaping @Sendable () -> Void, to number: UInt64) -> Bool {
    pending[number]?.append(handler) != nil
  }

  /// Takes all handlers, because nothing that is pending will end well.
  mutating func takeHandlers() -> [@Sendable () -> Void] {
    let handlers = pending.values.flatMap { $0 }
    for number in pending.keys { pending[number] = [] }
    return handlers
  }

  /// The limit of the receives that a message of `peer` may be for which is over first; nil where there are none.
  ///
  /// - Parameter rank: This rank, which is not to blame where a receive would take a message of any rank: such a receive
  ///   does not limit how long this rank waits for itself. nil where there are no other ranks.
  func limit(for peer: Int, rank: Int?) -> TimeLimit? {
    let receives = waiting.lazy.filter { $0.source == nil || $0.source == peer }
    if receives.isEmpty { return nil }
    return receives.filter { $0.source != nil || peer != rank }.map(\.limit).min { $0.deadline < $1.deadline }
      ?? TimeLimit(nanoseconds: TimeLimit.never)
  }

  /// Whether a receive waits for a message of `peer` and of nobody else.
  func isNamed(_ peer: Int) -> Bool { waiting.contains { $0.source == peer } }
}
