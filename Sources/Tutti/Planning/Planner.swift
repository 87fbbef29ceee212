import TuttiAlgorithms
import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// Makes the plans of one rank: the algorithm that serves a call, its schedule, the layout of the data, and the plan
/// that is lowered from them.
///
/// A value, and a pure function of the call and of what all ranks know: equal keys give equal algorithms on all ranks.
struct Planner: PlanMaker {
  let rank: Int
  let rankCount: Int
  let policy: AlgorithmPolicy

  func makePlan(_ key: PlanKey, blocks: [UInt64]?) throws(FailureReport) -> CompiledPlan {
    guard let type = DataType(rawValue: key.dataType) else {
      preconditionFailure("a call of the unknown data type \(key.dataType) was not refused")
    }
    let elementBytes = UInt64(type.size)
    let bytes = bytesOfAll(key, blocks, elementBytes: elementBytes)
    let (number, algorithm) = try chooseAlgorithm(key, bytes: bytes, hasUnequalBlocks: blocks != nil)
    let schedule = algorithm.schedule(for: position(root: key.root))
    try check(schedule, of: algorithm, blocks, bytes: bytes)
    do throws(LoweringError) {
      let plan = try Plan(
        lowering: schedule, layout: layout(of: schedule, key, blocks, elementBytes), elementBytes: Int(elementBytes),
        inPlace: key.inPlace, segmentBytes: policy.segmentBytes(key.collective, bytes: bytes),
        streaming: policy.isStreaming(bytes: bytes), contributions: contributions(to: key, algorithm))
      return CompiledPlan(
        plan, of: key, algorithm: (algorithm.name, number, algorithm.identifier.rawValue), hasBlocks: blocks != nil,
        countsByMessage: key.isExchange, prefersWindows: policy.prefersWindows(key.collective, bytes: bytes))
    } catch {
      throw FailureReport(
        .unproven, rank: rank, "algorithm \(algorithm.name) cannot run on \(rankCount) ranks: \(error.description)",
        advice: "Run collbench verify, and choose another algorithm")
    }
  }

  /// Tells which operands are contributions, for averages that divide those; nil for all other calls.
  private func contributions(to key: PlanKey, _ algorithm: any Algorithm) -> Contributions? {
    guard key.traits.contains(.dividesContributions) else { return nil }
    // float32 has room for sums of float16, and none beyond what bfloat16 has.
    let isInRange = key.dataType == DataType.float16.rawValue
    return Contributions(rank: rank, rankCount: rankCount, sumsAreInRange: isInRange) {
      algorithm.schedule(for: policy.grouping.position(of: $0, root: Int(key.root)))
    }
  }

  /// Bytes of the message, or of all blocks together; what algorithms are chosen by.
  private func bytesOfAll(_ key: PlanKey, _ blocks: [UInt64]?, elementBytes: UInt64) -> UInt64 {
    // In an all-to-all with counts each rank knows other sizes, so none of them may decide.
    if key.isExchange { return 0 }
    if let blocks { return blocks.reduce(0, +) * elementBytes }
    return key.count * (key.collective.hasBlocks ? UInt64(rankCount) : 1) * elementBytes
  }

  private func chooseAlgorithm(
    _ key: PlanKey, bytes: UInt64, hasUnequalBlocks: Bool
  ) throws(FailureReport) -> (number: UInt8, algorithm: any Algorithm) {
    let catalog = policy.catalog
    let isOrdered = key.traits.contains(.dependsOnOrder)
    if key.algorithm == 0 {
      let name = policy.algorithm(
        key.collective, bytes: bytes, hasUnequalBlocks: hasUnequalBlocks, isOrdered: isOrdered)
      guard let number = catalog.number(key.collective, named: name) else {
        preconditionFailure("the policy for \(key.collective.name) names no algorithm: \(name)")
      }
      let algorithm = catalog.algorithm(key.collective, number: number)
      // Where the tuning profile has times of it, this may be an algorithm of the program's own.
      if let proven = try catalog.prove(algorithm, for: position(root: key.root)), isOrdered {
        try checkPromise(of: algorithm, proven)
      }
      return (number, policy.arranged(algorithm, isOrdered: isOrdered))
    }
    // `Communicator.number(of:_:)` has looked the name up.
    let algorithm = catalog.algorithm(key.collective, number: key.algorithm)
    let proven = try catalog.prove(algorithm, for: position(root: key.root))
    if isOrdered, catalog.bits == .canonical, key.collective.combines { try checkFold(algorithm, proven) }
    return (key.algorithm, policy.arranged(algorithm, isOrdered: isOrdered))
  }

  /// Refuses an algorithm of the program's own that folds otherwise than it promises, where results rely on it.
  private func checkPromise(of algorithm: any Algorithm, _ proven: FoldClass) throws(FailureReport) {
    guard algorithm.collective.combines, let promised = policy.catalog.bits.tree(for: policy.grouping) else { return }
    let isKept =
      switch proven {
      case .canonical: promised == .canonical(rankCount: rankCount)
      case .one(let tree, _): promised == tree
      case .several: false
      }
    if isKept { return }
    throw FailureReport(
      .unproven, rank: rank, "algorithm \(algorithm.name) folds by another tree than it promises: \(proven.text)",
      advice: "Correct its foldTree, or its schedule")
  }

  /// Refuses an algorithm that does not fold canonically, where results have to. All ranks do alike.
  private func checkFold(_ algorithm: any Algorithm, _ proven: FoldClass?) throws(FailureReport) {
    let isOwn = AlgorithmRegistry.any(algorithm.collective, named: algorithm.name) == nil
    let isCanonical =
      isOwn
      ? proven == .canonical : algorithm.foldTree(for: policy.grouping) == .canonical(rankCount: rankCount)
    if isCanonical { return }
    throw FailureReport(
      .invalidArgument, rank: rank,
      "algorithm \(algorithm.name) does not fold \(rankCount) ranks canonically, and the bits of results have to be canonical",
      advice: "Choose auto or another algorithm of collbench list, or TUTTI_BITS=class or any")
  }

  private func position(root: Int32) -> Position { policy.grouping.position(of: rank, root: Int(root)) }

  /// Refuses a schedule that cannot serve the call.
  private func check(
    _ schedule: Schedule, of algorithm: any Algorithm, _ blocks: [UInt64]?, bytes: UInt64
  ) throws(FailureReport) {
    if schedule.chunkCount < 1 {
      throw FailureReport(
        .unproven, rank: rank, "algorithm \(algorithm.name) cuts the data into \(schedule.chunkCount) chunks",
        advice: "A schedule has at least one chunk")
    }
    if schedule.equalBlocks, blocks != nil {
      throw FailureReport(
        .invalidArgument, rank: rank, "algorithm \(algorithm.name) serves blocks of equal sizes only",
        advice: "Choose another one, or auto")
    }
    if bytes.multipliedReportingOverflow(by: UInt64(schedule.scratchCount + 1)).overflow {
      throw FailureReport(
        .resources, rank: rank, "\(algorithm.name) needs \(schedule.scratchCount) buffers of \(bytes) bytes",
        advice: "Choose another algorithm, or fewer elements")
    }
  }

  /// Where each chunk lies in the data.
  private func layout(
    of schedule: Schedule, _ key: PlanKey, _ blocks: [UInt64]?, _ elementBytes: UInt64
  ) -> DataLayout {
    let granule = max(1, 64 / elementBytes)
    guard key.collective.hasBlocks else {
      return DataLayout(ChunkMap(balanced: key.count, chunkCount: schedule.chunkCount, granule: granule))
    }
    let perBlock = max(1, schedule.chunkCount / rankCount)
    func map(_ blocks: [UInt64]) -> ChunkMap { ChunkMap(blocks: blocks, chunksPerBlock: perBlock, granule: granule) }
    guard let blocks else { return DataLayout(map(Array(repeating: key.count, count: rankCount))) }
    if key.collective == .allToAll {
      return DataLayout(input: map(Array(blocks.prefix(rankCount))), output: map(Array(blocks.suffix(rankCount))))
    }
    return DataLayout(map(blocks))
  }
}
