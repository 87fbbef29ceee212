import TuttiSchedule

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
  /// What it takes in memory, about.
  let bytes: Int
  /// Operations that run it now; the cache does not drop it meanwhile.
  var uses = 0

  /// - Parameters:
  ///   - key: What it is the plan of.
  ///   - algorithm: The name of its algorithm, its number in the catalog, and what ranks compare of it.
  ///   - hasBlocks: Each rank's block has a count of its own.
  ///   - countsByMessage: Every message says its own number of elements instead of the call's: for calls in which
  ///     ranks give different counts by right.
  ///   - prefersWindows: Links that share windows are to use them also where the receiver could read the source.
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
        steps: Self.copy(Self.steps(of: plan)), extents: Self.copy(plan.extents), peers: Self.copy(plan.peers),
        sources: Self.copy(plan.sources.map(CompiledSource.init)), edges: Self.copy(plan.edges.map(CompiledEdge.init)),
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
    plan.steps.count * MemoryLayout<CompiledStep>.stride + plan.extents.count * MemoryLayout<Plan.Extent>.stride
      + plan.sources.count * MemoryLayout<CompiledSource>.stride + plan.edges.count * MemoryLayout<CompiledEdge>.stride
      + (plan.peers.count + plan.queueSteps.count) * MemoryLayout<Int32>.stride
      + plan.queues.count * MemoryLayout<Plan.Queue>.stride + (scratchCount + plan.allPeers.count) * MemoryLayout<Int>.stride
      + plan.parts.count * MemoryLayout<Plan.Part>.stride + plan.divisions.count + fixedBytes
  }

  /// The object, its tables' own sizes, and an entry of the cache.
  private static let fixedBytes = 1024

  /// Scratch that folds of three or more operands need besides: the addresses of two operands, and blocks of partial results.
  private static func foldBytes(of plan: Plan) -> Int {
    let operands = plan.steps.lazy.filter(\.isBalanced).map(\.sources.count).max()
    return operands.map { PlanTables.foldHeadBytes + BalancedFold.blockCount(operandCount: $0) * PlanTables.foldBlockBytes }
      ?? 0
  }

  private static func steps(of plan: Plan) -> [CompiledStep] {
    var queueOfStep = [Int32](repeating: -1, count: plan.steps.count)
    for (index, queue) in plan.queues.enumerated() {
      for position in queue { queueOfStep[Int(plan.queueSteps[Int(position)])] = Int32(index) }
    }
    return zip(plan.steps, queueOfStep).map { CompiledStep($0, queue: $1) }
  }

  private static func copy<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
    let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
    for (index, element) in elements.enumerated() { (memory + index).initialize(to: element) }
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

  let steps: UnsafeMutablePointer<CompiledStep>
  let extents: UnsafeMutablePointer<Plan.Extent>
  let peers: UnsafeMutablePointer<Int32>
  let sources: UnsafeMutablePointer<CompiledSource>
  let edges: UnsafeMutablePointer<CompiledEdge>
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
  let prefersWindows: Bool
  /// Every link of the plan is there. Links stay for a communicator's life.
  var linksReady = false
}

/// `Plan.Step` as the loop reads it. Types of this module, because a comparison of another module's enumeration is a
/// call.
struct CompiledStep {
  let kind: StepKind
  let channel: UInt8
  let isCopied: Bool
  let isStreaming: Bool
  let isForwarded: Bool
  let completes: Bool
  let isBalanced: Bool
  let bytes: Int
  let segmentCount: UInt64
  let extents: Range<Int32>
  let peers: Range<Int32>
  let sources: Range<Int32>
  let parts: Range<Int32>
  let edges: Range<Int32>
  let fusedSend: Int32
  /// The queue the step is in.
  let queue: Int32
  let origin: Int32

  init(_ step: Plan.Step, queue: Int32) {
    kind =
      switch step.kind {
      case .send: .send
      case .receive: .receive
      case .combine: .combine
      }
    channel = step.channel
    isCopied = step.copied
    isStreaming = step.streaming
    isForwarded = step.forwarded
    completes = step.completes
    isBalanced = step.isBalanced
    bytes = Int(step.bytes)
    segmentCount = step.segmentCount
    extents = step.extents
    peers = step.peers
    sources = step.sources
    parts = step.parts
    edges = step.edges
    fusedSend = step.fusedSend
    self.queue = queue
    origin = step.origin
  }
}

extension Range<Int32> {
  /// The same for a loop: iterating over a range of any other type than `Int` allocates memory in an unoptimised build.
  @inline(__always) var asInts: Range<Int> { Int(lowerBound)..<Int(upperBound) }
}

enum StepKind: UInt8 { case send, receive, combine }

/// `Plan.Source`.
struct CompiledSource {
  let isSlot: Bool
  let extent: Int32
  let peer: Int32

  init(_ source: Plan.Source) {
    isSlot = source.kind == .slot
    extent = source.extent
    peer = source.peer
  }
}

/// `Plan.Edge`.
struct CompiledEdge {
  let kind: EdgeKind
  let step: Int32
  let lower: UInt64
  let upper: UInt64
  let delta: Int64

  init(_ edge: Plan.Edge) {
    kind =
      switch edge.kind {
      case .executed: .executed
      case .released: .released
      case .completed: .completed
      }
    step = edge.step
    lower = edge.lower
    upper = edge.upper
    delta = edge.delta
  }
}

enum EdgeKind: UInt8 { case executed, released, completed }
