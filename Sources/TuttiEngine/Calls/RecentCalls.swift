import Synchronization

/// A rank's last calls by their numbers, for other ranks that ask: written under the engine's lock, read without it.
///
/// Invariant: the record of call n is whole while `entered`, which is raised after it was written, is at least n and
/// less than `n + capacity - 1`: from then on, call `n + capacity` may be overwriting it.
struct RecentCalls: @unchecked Sendable {
  // @unchecked: atomics in memory that its owner gives back last.

  /// A power of two, and more than there can be in flight.
  static let capacity: UInt64 = 128
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    words = .allocate(capacity: 2 * Int(Self.capacity))
    for index in 0..<2 * Int(Self.capacity) { (words + index).initialize(to: Atomic(0)) }
  }

  func deallocate() {
    words.deinitialize(count: 2 * Int(Self.capacity))
    words.deallocate()
  }

  @inline(__always)
  func note(_ packed: UInt64, _ count: UInt64, as number: UInt64) {
    let entry = words + 2 * Int(number & (Self.capacity - 1))
    // Releasing: who reads one of these sees `entered` as it was before, at least.
    entry.pointee.store(packed, ordering: .releasing)
    (entry + 1).pointee.store(count, ordering: .releasing)
  }

  /// The record of a call; nil when it has not been made, or was made too long ago.
  func record(of number: UInt64, entered: borrowing Atomic<UInt64>) -> CallRecord? {
    guard number > 0, isThere(number, entered.load(ordering: .acquiring)) else { return nil }
    let entry = words + 2 * Int(number & (Self.capacity - 1))
    let (packed, count) = (entry.pointee.load(ordering: .acquiring), (entry + 1).pointee.load(ordering: .acquiring))
    return isThere(number, entered.load(ordering: .acquiring)) ? CallRecord(packed: packed, count: count) : nil
  }

  private func isThere(_ number: UInt64, _ entered: UInt64) -> Bool {
    number <= entered && entered - number < Self.capacity - 1
  }
}
