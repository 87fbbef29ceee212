import TuttiTransport

/// The sends and receives of one communicator: for each pair and direction a queue of records.
///
/// Invariant: `activePeers` are exactly the ranks with a queue that is not empty. Belongs to the holder of the
/// engine's lock.
struct PointToPoint {
  /// How many transfers may be in flight.
  static let capacity = 1 << 16

  private let tickets: TicketTable
  private var blockCount = 0
  private var firstFree: Int32 = -1
  private(set) var inFlight = 0
  /// For rank r: its sends at 2r, its receives at 2r + 1. Owned.
  let queues: UnsafeMutablePointer<TransferQueue>
  /// Ranks with something in a queue. Owned.
  let activePeers: UnsafeMutablePointer<Int32>
  var activeCount = 0
  /// The time before which no deadline is due, nor a question to other ranks; 0 where it must be computed anew, because a
  /// transfer was added or changed.
  var nextDeadline: UInt64 = 0

  init(rankCount: Int, _ tickets: TicketTable) {
    self.tickets = tickets
    queues = .allocate(capacity: 2 * rankCount)
    queues.initialize(repeating: TransferQueue(), count: 2 * rankCount)
    activePeers = .allocate(capacity: rankCount)
    activePeers.initialize(repeating: -1, count: rankCount)
  }

  func deallocate() {
    for place in 0..<activeCount {
      for side in 0..<2 {
        var index = queues[2 * Int(activePeers[place]) + side].first
        while index >= 0 {
          record(index).pointee.owner?.release()
          index = record(index).pointee.next
        }
      }
    }
    tickets.deallocate(blockCount: blockCount)
    queues.deallocate()
    activePeers.deallocate()
  }

  // MARK: Records

  @inline(__always)
  func record(_ index: Int32) -> UnsafeMutablePointer<Transfer> { tickets.record(index) }

  func hasRoom(for transfers: Int) -> Bool { inFlight + transfers <= Self.capacity }

  /// Precondition: ``hasRoom(for:)``. Allocates only when more are in flight than ever before.
  mutating func take() -> Int32 {
    if firstFree < 0 { grow() }
    let index = firstFree
    firstFree = record(index).pointee.next
    inFlight += 1
    return index
  }

  /// Ends the transfer in this record: its ticket is done, and the record free.
  mutating func giveBack(_ index: Int32) {
    record(index).pointee.next = firstFree
    firstFree = index
    inFlight -= 1
    tickets.finish(index)
  }

  private mutating func grow() {
    precondition(blockCount < Self.capacity / TicketTable.blockCapacity, "more transfers than there is room for")
    tickets.makeBlock(blockCount)
    firstFree = Int32(blockCount * TicketTable.blockCapacity)
    blockCount += 1
  }

  // MARK: Queues

  /// Whether a receive has no limit, and nothing of it has come: nobody waits for it.
  func isStanding(_ index: Int32) -> Bool {
    record(index).pointee.limit.nanoseconds == TimeLimit.never && record(index).pointee.position == 0
  }

  /// Whether the oldest receive of a queue is one whose peer may stay away.
  func isOptional(_ queue: UnsafeMutablePointer<TransferQueue>) -> Bool {
    queue.pointee.first >= 0 && tickets.ticket(queue.pointee.first) == queue.pointee.optional
  }

  /// Whether somebody waits for the oldest receive of a queue, and for no other rank's.
  func isAwaited(_ queue: UnsafeMutablePointer<TransferQueue>) -> Bool {
    queue.pointee.first >= 0 && !isStanding(queue.pointee.first) && !isOptional(queue)
  }

  /// The number of receives that nobody waits for.
  var standingReceives: Int {
    var count = 0
    for place in 0..<activeCount {
      var index = queue(Int(activePeers[place]), isSend: false).pointee.first
      while index >= 0 {
        if isStanding(index) { count += 1 }
        index = record(index).pointee.next
      }
    }
    return count
  }

  @inline(__always)
  func queue(_ peer: Int, isSend: Bool) -> UnsafeMutablePointer<TransferQueue> { queues + 2 * peer + (isSend ? 0 : 1) }

  /// Appends a record to the queue of its peer.
  @inline(__always)
  mutating func append(_ index: Int32, _ peer: Int, isSend: Bool) {
    if queues[2 * peer].first < 0 && queues[2 * peer + 1].first < 0 {
      activePeers[activeCount] = Int32(truncatingIfNeeded: peer)
      activeCount += 1
    }
    let queue = queue(peer, isSend: isSend)
    if queue.pointee.first < 0 { queue.pointee.first = index } else { record(queue.pointee.last).pointee.next = index }
    if queue.pointee.current < 0 { queue.pointee.current = index }
    queue.pointee.last = index
  }

  /// Takes the oldest record off its queue; the peer stays among the active ones until ``deactivate(_:)``.
  @inline(__always)
  func removeFirst(_ queue: UnsafeMutablePointer<TransferQueue>) {
    queue.pointee.first = record(queue.pointee.first).pointee.next
    if queue.pointee.first < 0 { queue.pointee.last = -1 }
  }

  /// Takes the peer at this place of `activePeers` off it, if its queues are empty; the last one moves there.
  @inline(__always)
  mutating func deactivate(_ place: Int) {
    let peer = Int(activePeers[place])
    guard queues[2 * peer].first < 0 && queues[2 * peer + 1].first < 0 else { return }
    activeCount -= 1
    activePeers[place] = activePeers[activeCount]
  }
}
