import Synchronization
import TuttiTransport

/// One send or receive, as the layer above describes it.
package struct TransferRequest {
  package var isSend: Bool
  /// The rank at the other end; may be this one.
  package var peer: Int
  /// `count` elements; a send does not write there.
  package var memory: UnsafeMutableRawPointer
  package var count: UInt64
  package var elementBytes: Int
  package var dataType: UInt8
  /// The limit of the whole call. Begun by whatever takes time first.
  package var limit: TimeLimit

  package init(
    isSend: Bool, peer: Int, memory: UnsafeMutableRawPointer, count: UInt64, elementBytes: Int, dataType: UInt8,
    limit: TimeLimit
  ) {
    self.isSend = isSend
    self.peer = peer
    self.memory = memory
    self.count = count
    self.elementBytes = elementBytes
    self.dataType = dataType
    self.limit = limit
  }
}

/// A started send or receive. Trivial apart from the reference it holds unmanaged. The memory is the caller's until the transfer ends.
struct Transfer {
  /// The rank at the other end.
  var peer: Int
  var isSend: Bool
  var call: CallSignature
  /// Elements.
  var count: UInt64
  var base: UnsafeMutableRawPointer
  var bytes: Int
  /// Bytes handed to the link, or taken from it.
  var position = 0
  /// Where the memory lies in this rank's registered memory, or `InPlace.nowhere`.
  var registered: UInt64
  /// Its number among the messages of this pair and direction, from 1.
  var number: UInt64
  /// Of a send: the sequence number of the segment last handed to the link.
  var lastSequence: UInt64 = 0
  /// The limit of the whole call, and when it is over.
  var limit: TimeLimit
  /// What keeps the memory alive until the transfer ends; retained.
  var owner: Unmanaged<AnyObject>?
  /// The next in its queue, or in the list of free records; -1 at the end.
  var next: Int32 = -1
}

/// The sends to one rank, or the receives from it, in the order they were started.
struct TransferQueue {
  /// The oldest that has not ended, and the newest; -1 when there is none.
  var first: Int32 = -1
  var last: Int32 = -1
  /// Of sends: the oldest that has not been handed to the link in full. Those before it wait until their memory is free.
  var current: Int32 = -1
  /// Number of the last one started.
  var started: UInt64 = 0
  /// Of receives: there may be more to grant to the sender than it was.
  var mayGrant = false
}

/// The records of transfers, and whether a transfer has ended.
///
/// Records lie in blocks that are made when needed and kept for good, so that in steady state nothing is allocated. A *ticket* names a
/// started transfer in the number space of operations: bit 63 is set, bits 16 to 62 are the *generation* of its record, bits 0 to 15 the
/// record's index. Invariant: a record's generation grows by one when its transfer ends well, and only then. Generations are for everybody
/// who has a ticket, records for the holder of the engine's lock.
struct TicketTable {
  static let ticketBit: UInt64 = 1 << 63
  static let blockCapacity = 256

  /// A place for each block; those that are used do not change any more. Owned, until `deallocate`.
  private let blocks: UnsafeMutablePointer<Block>

  private struct Block {
    // Owned by the table.
    var records: UnsafeMutablePointer<Transfer>
    var generations: UnsafeMutablePointer<Atomic<UInt64>>
  }

  init() { blocks = .allocate(capacity: PointToPoint.capacity / Self.blockCapacity) }

  func deallocate(blockCount: Int) {
    for index in 0..<blockCount {
      blocks[index].records.deallocate()
      blocks[index].generations.deinitialize(count: Self.blockCapacity)
      blocks[index].generations.deallocate()
    }
    blocks.deallocate()
  }

  /// Makes the records of one more block, each linked to the next.
  func makeBlock(_ index: Int) {
    let block = Block(records: .allocate(capacity: Self.blockCapacity), generations: .allocate(capacity: Self.blockCapacity))
    let nowhere = UnsafeMutableRawPointer(block.records)
    for place in 0..<Self.blockCapacity {
      let next = place + 1 < Self.blockCapacity ? Int32(index * Self.blockCapacity + place + 1) : -1
      (block.generations + place).initialize(to: Atomic(0))
      (block.records + place).initialize(
        to: Transfer(
          peer: -1, isSend: false, call: CallSignature(rawValue: 0), count: 0, base: nowhere, bytes: 0, registered: 0,
          number: 0, limit: TimeLimit(nanoseconds: 0), owner: nil, next: next))
    }
    (blocks + index).initialize(to: block)
  }

  @inline(__always)
  func record(_ index: Int32) -> UnsafeMutablePointer<Transfer> {
    blocks[Int(index) / Self.blockCapacity].records + Int(index) % Self.blockCapacity
  }

  @inline(__always)
  private func generation(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    blocks[index / Self.blockCapacity].generations + index % Self.blockCapacity
  }

  /// The ticket of the transfer in this record.
  @inline(__always)
  func ticket(_ index: Int32) -> UInt64 {
    Self.ticketBit | generation(Int(index)).pointee.load(ordering: .relaxed) << 16 | UInt64(UInt32(bitPattern: index))
  }

  @inline(__always)
  static func index(_ ticket: UInt64) -> Int32 { Int32(ticket & 0xFFFF) }

  /// Whether the transfer has ended well. From any thread that was given the ticket.
  @inline(__always)
  func isDone(_ ticket: UInt64) -> Bool {
    generation(Int(ticket & 0xFFFF)).pointee.load(ordering: .acquiring) > (ticket & ~Self.ticketBit) >> 16
  }

  /// Makes the ticket of the transfer in this record a thing of the past.
  @inline(__always)
  func finish(_ index: Int32) {
    let generation = generation(Int(index))
    generation.pointee.store(generation.pointee.load(ordering: .relaxed) + 1, ordering: .releasing)
  }
}

/// The sends and receives of one communicator: for each pair and direction a queue of records.
///
/// Invariant: `activePeers` are exactly the ranks with a queue that is not empty. Belongs to the holder of the engine's lock.
struct PointToPoint {
  /// Transfers in flight, at most.
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
  /// No deadline is due before, nor a question to other ranks; 0 when one may not be known yet.
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
