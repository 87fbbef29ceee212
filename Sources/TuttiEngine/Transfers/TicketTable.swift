import Synchronization
import TuttiTransport

/// The records of transfers, and whether a transfer has ended.
///
/// Records lie in blocks that are made when needed and kept for good, so that in steady state nothing is allocated. A
/// *ticket* names a started transfer in the number space of operations: bit 63 is set, bits 16 to 62 are the
/// *generation* of its record, bits 0 to 15 the record's index. Invariant: a record's generation grows by one when
/// its transfer ends well, and only then. Generations are for everybody who has a ticket, records for the holder of
/// the engine's lock.
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

  /// Makes the ticket of the transfer in this record say that the transfer has ended well.
  @inline(__always)
  func finish(_ index: Int32) {
    let generation = generation(Int(index))
    generation.pointee.store(generation.pointee.load(ordering: .relaxed) + 1, ordering: .releasing)
  }
}
