import TuttiSchedule

/// One call, checked, as the layer above describes it to the engine. Made there without a call.
@frozen @usableFromInline
package struct Request: ~Copyable {
  @usableFromInline package var key: PlanKey
  /// How values are combined. Where nothing is, it names the sum, and is not asked.
  @usableFromInline package var reduction: UnsafePointer<Reduction>
  @usableFromInline package var elementBytes: Int
  /// The caller's buffers. In place, where one is a part of the other, `output` is the larger.
  @usableFromInline package var input: UnsafeRawPointer
  @usableFromInline package var output: UnsafeMutableRawPointer
  /// For v-forms, elements of each rank's block; for an all-to-all, of what goes to each rank, and after it of what
  /// comes from each. The key's count is then their digest.
  @usableFromInline package var blocks: [UInt64]?
  /// The limit of the whole call. Begun by whatever takes time first.
  @usableFromInline package var limit: TimeLimit

  @inlinable @inline(__always)
  package init(
    key: PlanKey, reduction: UnsafePointer<Reduction>, elementBytes: Int, input: UnsafeRawPointer,
    output: UnsafeMutableRawPointer, limit: TimeLimit, blocks: [UInt64]? = nil
  ) {
    self.key = key
    self.reduction = reduction
    self.elementBytes = elementBytes
    self.input = input
    self.output = output
    self.limit = limit
    self.blocks = blocks
  }

  /// The number that stands for the operation among ranks; where nothing is combined, for the form of the call.
  @inline(__always)
  package var operationNumber: UInt8 { key.isExchange ? Self.exchangeForm : reduction.pointee.identifier }

  /// What an all-to-all with counts of its own for each rank says where other calls name their operation.
  package static let exchangeForm: UInt8 = 1
}

/// How long a call may take, and since when it does.
@frozen @usableFromInline
package struct TimeLimit: Sendable {
  /// So many nanoseconds are no limit; the sum with a reading of the clock stays in range.
  package static let never: UInt64 = 1 << 62

  /// Nanoseconds.
  @usableFromInline package let nanoseconds: UInt64
  /// When it is over, in the engine's time; 0 until it has begun.
  @usableFromInline package var deadline: UInt64 = 0
  /// The other ranks have been asked what they do.
  @usableFromInline var isAsked = false

  @inlinable @inline(__always)
  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// Begins it, unless it has begun.
  @inline(__always)
  package mutating func begin(at now: UInt64) {
    if deadline == 0 { deadline = now &+ nanoseconds }
  }

  /// When to ask the other ranks, while the call may still end: early enough for a rank that does not answer to be
  /// noticed.
  var askTime: UInt64 { deadline - min(nanoseconds / 4, 2_000_000_000) }
}

extension Engine {
  /// A limit that begins now, unless it has begun.
  package func begun(_ limit: TimeLimit) -> TimeLimit {
    var limit = limit
    lock.lock()
    limit.begin(at: ownTime())
    lock.unlock()
    return limit
  }
}
