import CTuttiLinux
import Synchronization
import TuttiAlgorithms
import TuttiBootstrap
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// One rank of one communicator: its engine, its control plane, and how links come to be. What `Communicator` is a face of.
///
/// Subclassed by where the other ranks are: other processes, or threads of this one.
class CommunicatorMember: EngineDelegate, @unchecked Sendable {
  // @unchecked: immutable after `init` but for `engineStorage`, set once before the member is shared, and the mutex.

  let rank: Int
  let rankCount: Int
  let controlPlane: any ControlPlane
  let policy: AlgorithmPolicy
  /// What its peers reach in place; nil where there are none, or the limits of this process leave no room for it.
  let registeredMemory: RegisteredMemory?
  /// Why there is no registered memory though there are peers for it.
  let registrationFailure: FailureReport?
  /// Whether it has links over RDMA.
  var usesRDMA: Bool { false }
  private var engineStorage: Engine?
  /// The value of `tutti_current_fork_generation()` this member was born with.
  let forks = tutti_current_fork_generation()
  private let isClosed = Atomic<Bool>(false)

  var engine: Engine { engineStorage.unsafelyUnwrapped }

  init(
    rank: Int, rankCount: Int, controlPlane: any ControlPlane, policy: AlgorithmPolicy,
    registeredMemory: RegisteredMemory? = nil, registrationFailure: FailureReport? = nil
  ) {
    self.rank = rank
    self.rankCount = rankCount
    self.controlPlane = controlPlane
    self.policy = policy
    self.registeredMemory = registeredMemory
    self.registrationFailure = registrationFailure
  }

  /// Makes the engine and connects the control plane to it. Called once, before anybody else knows this member.
  ///
  /// - Parameters:
  ///   - isOversubscribed: Whether the host's ranks outnumber the processors they may use.
  ///   - processors: What this rank is confined to; nil when it is not.
  final func activate(doorbell: Doorbell, isOversubscribed: Bool, processors: ProcessorSet? = nil) {
    engineStorage = Engine(
      rank: rank, rankCount: rankCount, doorbell: doorbell, isOversubscribed: isOversubscribed, processors: processors,
      registeredMemory: registeredMemory, usesRDMA: usesRDMA,
      delegate: self)
    controlPlane.activate(
      ControlHandlers(
        onConnection: { [weak self] peer, role, descriptor in
          guard let self else { return tutti_close(descriptor) }
          self.accept(from: peer, role, descriptor)
        },
        onFailure: { [weak self] cause in _ = self?.engine.abort(cause) },
        status: { [weak self] in self?.status() ?? RankStatus() }, onExit: { [weak self] in self?.engine.drain() }))
  }

  /// A peer has dialed this rank for a link. On the service thread; must not block.
  func accept(from peer: Int, _ role: ConnectionRole, _ descriptor: Int32) { tutti_close(descriptor) }

  /// What this rank is doing, for another rank's diagnosis.
  final func status() -> RankStatus {
    let snapshot = engine.snapshot
    var operation = snapshot.entered == 0 ? "" : describe(snapshot.call, count: snapshot.count)
    if snapshot.entered == snapshot.completed, let transfer = snapshot.transfer { operation = transfer.description(self) }
    return RankStatus(
      entered: snapshot.entered, completed: snapshot.completed, waitingFor: snapshot.waitingFor, operation: operation)
  }

  /// Whether calls may go on in this process: not in the child of a fork.
  @inline(__always)
  final func checkProcess() throws(FailureReport) {
    if isForked { throw forkedReport() }
  }

  /// Whether this process is a child that was forked after this member was made.
  @inline(__always)
  final var isForked: Bool { tutti_current_fork_generation() != forks }

  @inline(never)
  private func forkedReport() -> FailureReport {
    FailureReport(
      .closed, rank: rank, "this communicator belongs to the parent of a forked process",
      advice: "A child makes a communicator of its own, or execs")
  }

  final func closedReport() -> FailureReport {
    FailureReport(
      .closed, rank: rank, "the communicator was closed on rank \(rank)", advice: "Call close() after the last operation")
  }

  // MARK: Links

  func openLink(to peer: Int, deadline: UInt64) throws(FailureReport) { fatalError("abstract") }

  func takeLinks() throws(FailureReport) -> [Link] { fatalError("abstract") }

  // MARK: Plans

  final func makePlan(_ key: PlanKey, blocks: [UInt64]?) throws(FailureReport) -> CompiledPlan {
    let elementBytes = UInt64(DataType(rawValue: key.dataType)?.size ?? 1)
    let isExchange = key.collective == .allToAll && blocks != nil
    // Of an all-to-all with counts of its own for each rank, every rank knows another part: all must decide by the same.
    let count =
      isExchange
      ? 0 : blocks?.reduce(0, +) ?? key.count * (key.collective.hasBlocks ? UInt64(rankCount) : 1)
    let bytes = count * elementBytes
    let algorithm = try chooseAlgorithm(key, bytes: bytes, hasUnequalBlocks: blocks != nil)
    let schedule = algorithm.schedule(rank: rank, rankCount: rankCount, root: Int(key.root))
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
    do throws(LoweringError) {
      let plan = try Plan(
        lowering: schedule, layout: layout(of: schedule, key, blocks, elementBytes), elementBytes: Int(elementBytes),
        inPlace: key.inPlace, segmentBytes: policy.segmentBytes(key.collective, bytes: bytes),
        streaming: policy.isStreaming(bytes: bytes))
      return CompiledPlan(
        plan, algorithm: algorithm.name, algorithmIdentifier: algorithm.identifier, countsByMessage: isExchange,
        prefersWindows: policy.prefersWindows(key.collective, bytes: bytes))
    } catch {
      throw FailureReport(
        .unproven, rank: rank, "algorithm \(algorithm.name) cannot run on \(rankCount) ranks: \(error.description)",
        advice: "Run collbench verify, and choose another algorithm")
    }
  }

  private func chooseAlgorithm(
    _ key: PlanKey, bytes: UInt64, hasUnequalBlocks: Bool
  ) throws(FailureReport) -> any Algorithm {
    if key.algorithm == 0 {
      let name = policy.algorithm(key.collective, bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
      guard let chosen = AlgorithmRegistry.algorithm(key.collective, named: name) else {
        preconditionFailure("the policy for \(key.collective.name) names no algorithm: \(name)")
      }
      return chosen
    }
    // The call above looked the name up.
    let algorithm = policy.catalog.algorithm(identifier: key.algorithm).unsafelyUnwrapped
    try policy.catalog.prove(algorithm, rank: rank, rankCount: rankCount, root: Int(key.root))
    return algorithm
  }

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

  // MARK: Failure

  final func explain(loss: FailureReport) -> FailureReport {
    loss.code == .peerLost || loss.code == .transport
      ? controlPlane.explainLoss(of: loss.peer, otherwise: loss) : loss
  }

  final func explainTimeout(
    operationNumber: UInt64, operation: String, waitingFor peer: Int, timeoutNanoseconds: UInt64, step: Int
  ) -> FailureReport {
    controlPlane.diagnoseTimeout(
      ExpiredWait(
        operationNumber: operationNumber, operation: operation, waitingFor: peer,
        timeoutSeconds: Double(timeoutNanoseconds) / 1e9, step: step))
  }

  final func engineFailed(_ cause: FailureReport) -> FailureReport {
    controlPlane.report(cause)
    return controlPlane.firstCause ?? cause
  }

  func settle() {}

  final func describeElements(dataType: UInt8, count: UInt64) -> String {
    "\(DataType(rawValue: dataType)?.name ?? "type \(dataType)") x \(count)"
  }

  final func describe(_ call: CallSignature, count: UInt64) -> String {
    if call.collective == Engine.transferCollective {
      return "send/receive \(describeElements(dataType: call.dataType, count: count))"
    }
    let collective = Collective(rawValue: call.collective)
    let isExchange = collective == .allToAll && call.operation == 1
    let name = collective.map { $0.name + (isExchange ? " with counts" : "") } ?? "collective \(call.collective)"
    let algorithm = policy.catalog.algorithm(identifier: call.algorithm)?.name ?? "number \(call.algorithm)"
    guard let collective, collective != .barrier else { return "\(name) (\(algorithm))" }
    let operation =
      collective.combines ? " " + (ReduceOp(rawValue: call.operation)?.name ?? "operation \(call.operation)") : ""
    let root = collective.hasRoot ? ", root \(call.root)" : ""
    let elements =
      PlanKey.isDigest(count)
      ? "\(DataType(rawValue: call.dataType)?.name ?? "type \(call.dataType)") in unequal blocks (digest \(String(count, radix: 16)))"
      : describeElements(dataType: call.dataType, count: count)
    return "\(name)\(operation) \(elements)\(root) (\(algorithm))"
  }

  // MARK: The end

  /// Ends this rank's part: later calls throw, links close, the others are told that this was no death. Idempotent.
  final func close() {
    if isClosed.exchange(true, ordering: .sequentiallyConsistent) { return }
    if isForked {
      // The descriptors are closed, and their numbers may be the child's by now; threads are not here. What is there stays as it is.
      _ = Unmanaged.passRetained(self)
      return
    }
    engine.abort(closedReport())
    controlPlane.leave()
    engine.close()
    closeTransports()
  }

  func closeTransports() {}
}
