import TuttiSchedule
import TuttiTransport

/// One started call: what to run and on which memory. Trivial apart from the references it holds unmanaged.
struct Operation {
  /// From 1, in call order; the same on all ranks.
  var number: UInt64
  var call: CallSignature
  /// Elements.
  var count: UInt64
  var elementBytes: Int
  var plan: Unmanaged<CompiledPlan>
  var tables: UnsafeMutablePointer<PlanTables>
  /// How values are combined. A pointer, so that an operation is small enough to be copied without a call.
  var reduction: UnsafePointer<Reduction>
  /// What averages are divided by.
  var divisor: Double
  var input: UnsafeMutableRawPointer
  var output: UnsafeMutableRawPointer
  /// Where they lie in this rank's registered memory, or `InPlace.nowhere`.
  var registeredInput: UInt64
  var registeredOutput: UInt64
  /// The limit of the whole call, and when it is over.
  var limit: TimeLimit
  /// What keeps the memory alive until the operation ends; retained.
  var owner: Unmanaged<AnyObject>?
}

/// How far a step has come.
struct Cursor {
  /// Bytes of the stream that are done.
  var position: UInt64 = 0
  /// Segments that are done.
  var segments: UInt64 = 0
  /// The extent the next segment lies in, relative to the step's first, and the offset in it.
  var extent: Int32 = 0
  var offset: UInt64 = 0
  /// Receives into registered memory: segments whose place the sender may write to.
  var granted: UInt64 = 0
}

/// One of the communicator's operation slots: the operation that runs on its lanes, and the memory it needs to run.
/// Reused; grows.
struct OperationSlot {
  /// Among the slots.
  let number: Int
  var isActive = false
  /// Valid while `isActive`; owned.
  let operation: UnsafeMutablePointer<Operation>
  var openQueues = 0
  var cursors: UnsafeMutablePointer<Cursor>
  var cursorCapacity: Int
  /// Position in `queueSteps` of each queue's next step.
  var heads: UnsafeMutablePointer<Int32>
  var headCapacity: Int
  /// For each entry of the plan's `peers`: the sequence number of the send's first segment on that link, 0 before.
  var firstSequences: UnsafeMutablePointer<UInt64>
  var sequenceCapacity: Int
  /// Base address of each of the plan's buffers.
  var bases: UnsafeMutablePointer<UnsafeMutableRawPointer>
  var baseCapacity: Int
  /// Input or output lies in registered memory.
  var hasRegistered = false
  var scratch: UnsafeMutableRawPointer
  var scratchCapacity: Int

  init(number: Int) {
    self.number = number
    operation = .allocate(capacity: 1)
    cursorCapacity = 16
    cursors = .allocate(capacity: cursorCapacity)
    headCapacity = 16
    heads = .allocate(capacity: headCapacity)
    sequenceCapacity = 16
    firstSequences = .allocate(capacity: sequenceCapacity)
    baseCapacity = 4
    bases = .allocate(capacity: baseCapacity)
    scratchCapacity = 64
    scratch = .allocate(byteCount: scratchCapacity, alignment: 64)
  }

  /// Makes `operation` the slot's own and sets every cursor to its start. Allocates only when a plan is larger than
  /// any before.
  mutating func begin(_ operation: Operation) {
    assert(!isActive, "an operation waits for the one before it in its slot")
    assert(Int(operation.number % UInt64(Lane.operationSlots)) == number, "operations have slots by their numbers")
    let tables = operation.tables.pointee
    Self.grow(&cursors, &cursorCapacity, tables.stepCount)
    Self.grow(&heads, &headCapacity, tables.queueCount)
    Self.grow(&firstSequences, &sequenceCapacity, tables.peerCount)
    Self.grow(&bases, &baseCapacity, 2 + tables.scratchCount)
    if tables.scratchBytes > scratchCapacity {
      scratch.deallocate()
      scratch = .allocate(byteCount: tables.scratchBytes, alignment: 64)
      scratchCapacity = tables.scratchBytes
    }
    cursors.update(repeating: Cursor(), count: tables.stepCount)
    firstSequences.update(repeating: 0, count: tables.peerCount)
    for queue in 0..<tables.queueCount { heads[queue] = tables.queues[queue].lowerBound }
    bases[0] = operation.input
    bases[1] = operation.output
    hasRegistered =
      operation.registeredInput & operation.registeredOutput != InPlace.nowhere
    for index in 0..<tables.scratchCount { bases[2 + index] = scratch + tables.scratchOffsets[index] }
    openQueues = tables.queueCount
    self.operation.initialize(to: operation)
    isActive = true
  }

  /// Whether every step has executed all its segments. For assertions: a running operation knows by ``openQueues``.
  var isDone: Bool {
    let tables = operation.pointee.tables
    // A loop: in an unoptimised build, a generic function would allocate in every operation.
    for index in 0..<tables.pointee.stepCount where cursors[index].segments != tables.pointee.steps[index].segmentCount {
      return false
    }
    return true
  }

  /// The lane of a step's channel.
  @inline(__always)
  func lane(_ step: UnsafeMutablePointer<Plan.Step>) -> Int {
    Lane.index(operationSlot: number, channel: Int(step.pointee.channel))
  }

  private static func grow<Element: BitwiseCopyable>(
    _ memory: inout UnsafeMutablePointer<Element>, _ capacity: inout Int, _ wanted: Int
  ) {
    if wanted <= capacity { return }
    memory.deallocate()
    capacity = max(wanted, capacity * 2)
    memory = .allocate(capacity: capacity)
  }

  func deallocate() {
    operation.deallocate()
    cursors.deallocate()
    heads.deallocate()
    firstSequences.deallocate()
    bases.deallocate()
    scratch.deallocate()
  }
}
