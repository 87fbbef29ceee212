import TuttiSchedule
import TuttiTransport

/// A plan in the form the engine runs: the same tables in raw memory, so that reading a step costs no retain and no
/// bounds check.
package final class CompiledPlan: @unchecked Sendable {
  // @unchecked: the tables are immutable; `uses` and `linksReady` are touched by the holder of the engine's lock alone.

  let tables: UnsafeMutablePointer<PlanTables>
  /// The name of the algorithm it was made from, for results and errors.
  package let algorithm: String
  /// What a call that runs it is, but for the operation: for its signature, and for descriptions.
  let callHash: UInt32
  let record: CallRecord
  /// All ranks it talks to.
  let peers: [Int]
  /// About how many bytes of memory it takes.
  let bytes: Int
  /// The number of operations that run it now; the cache does not drop it meanwhile.
  var uses = 0

  /// - Parameters:
  ///   - key: What it is the plan of.
  ///   - algorithm: The name of its algorithm, its number in the catalog, and what ranks compare of it.
  ///   - hasBlocks: Whether each rank's block has a count of its own.
  ///   - countsByMessage: Whether every message says its own number of elements instead of the call's, because in this call
  ///     ranks may rightly give different counts.
  ///   - prefersWindows: Whether large segments travel through windows, although the receiver could read them where they
  ///     are, until it has been measured which is faster.
  package init(
    _ plan: Plan, of key: PlanKey, algorithm: (name: String, number: UInt8, identifier: UInt64), hasBlocks: Bool,
    countsByMessage: Bool = false, prefersWindows: Bool = false
  ) {
    self.algorithm = algorithm.name
    callHash = CallHash.plan(key, algorithm: algorithm.identifier, hasBlocks: hasBlocks)
    record = CallRecord(key, algorithm: algorithm.number, operation: 0)
    peers = plan.allPeers.map(Int.init)
    var scratchBytes = 0
    var scratchOffsets: [Int] = []
    for buffer in plan.buffers.dropFirst(2) {
      scratchOffsets.append(scratchBytes)
      scratchBytes += (Int(buffer.bytes) + 63) & ~63
    }
    let foldOffset = scratchBytes
    scratchBytes += Self.foldBytes(of: plan)
    bytes = Self.bytes(of: plan, scratchCount: scratchOffsets.count)
    tables = .allocate(capacity: 1)
    tables.initialize(
      to: PlanTables(
        steps: Self.copy(plan.steps), extents: Self.copy(plan.extents), peers: Self.copy(plan.peers),
        sources: Self.copy(plan.sources), edges: Self.copy(plan.edges),
        queues: Self.copy(plan.queues),
        queueSteps: Self.copy(plan.queueSteps), parts: Self.copy(plan.parts),
        divisions: Self.copy(plan.divisions.map { $0 ? 1 : 0 }), stepCount: plan.steps.count,
        peerCount: plan.peers.count, queueCount: plan.queues.count,
        scratchCount: scratchOffsets.count, scratchOffsets: Self.copy(scratchOffsets), scratchBytes: scratchBytes,
        foldOffset: foldOffset,
        segmentBytes: plan.segmentBytes, countsByMessage: countsByMessage,
        prefersWindows: prefersWindows))
  }

  private static func bytes(of plan: Plan, scratchCount: Int) -> Int {
    plan.steps.count * MemoryLayout<Plan.Step>.stride + plan.extents.count * MemoryLayout<Plan.Extent>.stride
      + plan.sources.count * MemoryLayout<Plan.Source>.stride + plan.edges.count * MemoryLayout<Plan.Edge>.stride
      + (plan.peers.count + plan.queueSteps.count) * MemoryLayout<Int32>.stride
      + plan.queues.count * MemoryLayout<Plan.Queue>.stride + (scratchCount + plan.allPeers.count) * MemoryLayout<Int>.stride
      + plan.parts.count * MemoryLayout<Plan.Part>.stride + plan.divisions.count + fixedBytes
  }

  /// The object, its tables' own sizes, and an entry of the cache.
  private static let fixedBytes = 1024

  /// Scratch that folds of three or more operands need besides: the addresses of two operands, and blocks of partial
  /// results.
  private static func foldBytes(of plan: Plan) -> Int {
    let operands = plan.steps.lazy.filter(\.isBalanced).map(\.sources.count).max()
    return operands.map { PlanTables.foldHeadBytes + BalancedFold.blockCount(operandCount: $0) * PlanTables.foldBlockBytes }
      ?? 0
  }

  private static func copy<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
    let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
    elements.withUnsafeBufferPointer { if let first = $0.baseAddress { memory.initialize(from: first, count: $0.count) } }
    return memory
  }

  deinit {
    tables.pointee.steps.deallocate()
    tables.pointee.extents.deallocate()
    tables.pointee.peers.deallocate()
    tables.pointee.sources.deallocate()
    tables.pointee.edges.deallocate()
    tables.pointee.queues.deallocate()
    tables.pointee.queueSteps.deallocate()
    tables.pointee.parts.deallocate()
    tables.pointee.divisions.deallocate()
    tables.pointee.scratchOffsets.deallocate()
    tables.deallocate()
  }
}

/// See `Plan`, whose tables these are. Owned by a ``CompiledPlan``.
struct PlanTables {
  /// A partial result's block: all those of a fold stay in the first-level cache. A multiple of every element's size.
  static let foldBlockBytes = 4096
  static let foldHeadBytes = 64

  let steps: UnsafeMutablePointer<Plan.Step>
  let extents: UnsafeMutablePointer<Plan.Extent>
  let peers: UnsafeMutablePointer<Int32>
  let sources: UnsafeMutablePointer<Plan.Source>
  let edges: UnsafeMutablePointer<Plan.Edge>
  let queues: UnsafeMutablePointer<Plan.Queue>
  let queueSteps: UnsafeMutablePointer<Int32>
  let parts: UnsafeMutablePointer<Plan.Part>
  /// For each source of a part, whether it is divided as it enters: not 0.
  let divisions: UnsafeMutablePointer<UInt8>
  let stepCount: Int
  let peerCount: Int
  let queueCount: Int
  let scratchCount: Int
  /// Where each scratch buffer begins in the operation slot's scratch memory; in cache lines of its own.
  let scratchOffsets: UnsafeMutablePointer<Int>
  let scratchBytes: Int
  /// Where in that memory balanced folds keep partial results: the addresses of two operands, then blocks.
  let foldOffset: Int
  let segmentBytes: Int
  let countsByMessage: Bool
  /// Which way large segments take before that has been measured.
  let prefersWindows: Bool
  /// Which way they take since; nil where no segment has the choice. Owned by the engine, whose lock it is under.
  var dataPath: UnsafeMutablePointer<DataPath>?
  /// Every link of the plan is there. Links stay for a communicator's life.
  var linksReady = false
}

extension PlanTables {
  /// Bytes of the largest send, 0 where it has only small segments, and whether one receiver may read large segments of a
  /// send where this rank has them.
  var largeSends: (bytes: UInt64, canBeHeld: Bool) {
    var largest: UInt64 = 0
    var largestHeld: UInt64 = 0
    for step in UnsafeBufferPointer(start: steps, count: stepCount) where step.isSend {
      largest = max(largest, step.bytes)
      if !step.copied && !step.forwarded && step.peers.count == 1 { largestHeld = max(largestHeld, step.bytes) }
    }
    let least = UInt64(InPlace.segmentBytesMin)
    if min(largest, UInt64(segmentBytes)) < least { return (0, false) }
    return (largest, min(largestHeld, UInt64(segmentBytes)) >= least)
  }
}

extension Plan.Step {
  @inline(__always) var isSend: Bool { if case .send = kind { true } else { false } }
}

extension Plan.Source {
  /// The operand arrives on a link.
  @inline(__always) var isSlot: Bool { if case .slot = kind { true } else { false } }
}

extension Range<Int32> {
  /// This range for a loop to go over: iterating over a range of any other type than `Int` allocates memory in an
  /// unoptimised build.
  @inline(__always) var asInts: Range<Int> { Int(lowerBound)..<Int(upperBound) }
}
