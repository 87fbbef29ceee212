import TuttiSchedule

/// One checked call, as the layer above hands it to the engine. Its initializer is inlined there, because small calls would
/// notice another function.
@frozen @usableFromInline
package struct Request: ~Copyable {
  @usableFromInline package var key: PlanKey
  /// How values are combined. Where nothing is combined it is the sum, and nobody looks at it.
  @usableFromInline package var reduction: UnsafePointer<Reduction>
  @usableFromInline package var elementBytes: Int
  /// The caller's buffers. In place, where one is a part of the other, `output` is the larger.
  @usableFromInline package var input: UnsafeRawPointer
  @usableFromInline package var output: UnsafeMutableRawPointer
  /// For v-forms, elements of each rank's block; for an all-to-all, of what goes to each rank, and after it of what
  /// comes from each. The key's count is then their digest.
  @usableFromInline package var blocks: [UInt64]?
  /// The limit of the whole call. It begins with whatever first takes time.
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

  /// Makes it the same call over other memory; in place, where input and output are the same.
  package mutating func move(to input: UnsafeRawPointer, _ output: UnsafeMutableRawPointer) {
    self.input = input
    self.output = output
    key = PlanKey(key, inPlace: input == UnsafeRawPointer(output))
  }

  /// The number that stands for the operation among ranks; where nothing is combined, for the form of the call.
  @inline(__always)
  package var operationNumber: UInt8 { key.isExchange ? Self.exchangeForm : reduction.pointee.identifier }

  /// What an all-to-all with counts of its own for each rank says where other calls name their operation.
  package static let exchangeForm: UInt8 = 1
}

/// Limits the time of a whole call: how long it may take and, once that time has begun, when it is over.
@frozen @usableFromInline
package struct TimeLimit: Sendable {
  /// So many nanoseconds are no limit; the sum with a reading of the clock stays in range.
  package static let never: UInt64 = 1 << 62

  /// Nanoseconds.
  @usableFromInline package let nanoseconds: UInt64
  /// When it is over, in the engine's time; 0 until it has begun.
  @usableFromInline package var deadline: UInt64 = 0
  /// Whether the other ranks have been asked what they do.
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
  /// Returns the limit as one that has begun: now, unless it had before.
  package func begun(_ limit: TimeLimit) -> TimeLimit {
    var limit = limit
    lock.lock()
    limit.begin(at: ownTime())
    lock.unlock()
    return limit
  }
}
