import CTuttiLinux
import Synchronization
import TuttiAlgorithms
import TuttiBootstrap
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// One rank of one communicator, as `Communicator` shows it to the program: its engine, its control plane, its planner and
/// its registered memory. It connects the engine with the control plane.
///
/// Subclassed by where the other ranks are: other processes, or threads of this one.
class CommunicatorMember: EngineDelegate, @unchecked Sendable {
  // @unchecked: immutable after `init` but for `engineStorage`, set once before the member is shared, and the mutex.

  let rank: Int
  let rankCount: Int
  let controlPlane: any ControlPlane
  /// The groups of its ranks.
  let layout: JobLayout
  /// Makes the plans of its calls.
  let planner: Planner
  /// The memory that its peers reach in place; nil where there are no such peers, or the limits of this process leave no
  /// room for it.
  let registeredMemory: RegisteredMemory?
  /// Why there is no registered memory though there are peers for it.
  let registrationFailure: FailureReport?
  /// The name of the preferred transport that uses registered memory, for errors; empty where none does.
  var memoryTransport: String { "" }
  /// The transport whose devices reach memory of the caller's own, by name; nil where none does.
  var deviceTransport: String? { nil }
  /// Where peers reach this rank, best first; empty where they need no address.
  var addresses: [SocketAddress] { [] }
  private var engineStorage: Engine?
  /// The value of `tutti_current_fork_generation()` when this member was made.
  let forks = tutti_current_fork_generation()
  private let isClosed = Atomic<Bool>(false)

  var engine: Engine { engineStorage.unsafelyUnwrapped }

  init(
    rank: Int, controlPlane: any ControlPlane, layout: JobLayout, policy: AlgorithmPolicy,
    registeredMemory: RegisteredMemory? = nil, registrationFailure: FailureReport? = nil
  ) {
    self.rank = rank
    self.layout = layout
    rankCount = layout.grouping.rankCount
    self.controlPlane = controlPlane
    planner = Planner(rank: rank, rankCount: rankCount, policy: policy)
    self.registeredMemory = registeredMemory
    self.registrationFailure = registrationFailure
  }

  /// Makes the engine and connects the control plane to it. Called once, before anybody else knows this member.
  ///
  /// - Parameters:
  ///   - links: Where its links come from.
  ///   - waiting: What the transports of its links say about waiting for them.
  ///   - load: How many ranks compete for the host's processors; nil where that is not known.
  ///   - processors: What this rank is confined to; nil when it is not.
  final func activate(
    links: any LinkSource, doorbell: Doorbell, waiting: WaitingHints = WaitingHints(), load: HostLoad?,
    processors: ProcessorSet? = nil
  ) {
    engineStorage = Engine(
      rank: rank, rankCount: rankCount, doorbell: doorbell, isOversubscribed: load?.isOversubscribed ?? false,
      processors: processors, registeredMemory: registeredMemory, waiting: waiting,
      stallNanoseconds: Engine.stallNanoseconds(ranksPerProcessor: load?.ranksPerProcessor ?? 1), links: links,
      planner: planner, delegate: self)
    controlPlane.activate(
      ControlHandlers(
        onConnection: { [weak self] peer, transport, socket in self?.accept(from: peer, transport, socket) },
        onFailure: { [weak self] cause in _ = self?.engine.abort(cause) },
        status: { [weak self] in self?.status(asked: $0) ?? RankStatus() }, onExit: { [weak self] in self?.engine.drain() }))
  }

  /// A peer has dialed this rank for a link. On the service thread; must not block.
  func accept(from peer: Int, _ kind: TransportKind, _ connection: consuming Connection) {}

  /// Says what this rank is doing, for another rank's diagnosis, and what its operation `operationNumber` is, unless that is
  /// 0.
  final func status(asked operationNumber: UInt64) -> RankStatus {
    let snapshot = engine.snapshot
    var operation = snapshot.call.map { describe($0).words } ?? ""
    if snapshot.entered == snapshot.completed, let transfer = snapshot.transfer { operation = transfer.description(self) }
    return RankStatus(
      entered: snapshot.entered, completed: snapshot.completed, waitingFor: snapshot.waitingFor, operation: operation,
      asked: engine.call(numbered: operationNumber).map(describe), trouble: engine.troubleOnTheWay() ?? "")
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
      advice: "Make a communicator in the child, or call exec")
  }

  final func closedReport() -> FailureReport {
    FailureReport(
      .closed, rank: rank, "the communicator was closed on rank \(rank)", advice: "Call close() after the last operation")
  }

  // MARK: Failure

  final func cause(of loss: FailureReport) -> FailureReport {
    loss.code == .peerLost || loss.code == .transport
      ? controlPlane.causeOfLoss(of: loss.peer, otherwise: loss) : loss
  }

  final func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport? {
    controlPlane.diagnoseTimeout(
      ExpiredWait(
        operationNumber: call.number, operation: call.description,
        identity: engine.call(numbered: call.number).map { describe($0).identity } ?? 0, waitingFor: call.peer,
        timeoutSeconds: Double(call.nanoseconds) / 1e9, step: call.step, trouble: engine.troubleOnTheWay() ?? ""),
      until: deadline)
  }

  final func report(_ cause: FailureReport) -> FailureReport {
    controlPlane.report(cause)
    return controlPlane.firstCause ?? cause
  }

  /// Ends the communicator for all ranks: reports `cause`, and then aborts this rank's engine, so that all of them throw the
  /// same one.
  ///
  /// - Returns: The failure to throw: the first, which may be another.
  @discardableResult
  final func giveUp(_ cause: FailureReport) -> FailureReport {
    let first = report(cause)
    engine.abort(first)
    return engine.failure ?? first
  }

  func revokeMemory() {}

  final func describeElements(dataType: UInt8, count: UInt64) -> String {
    if let foreign = ForeignElements(rawValue: dataType) { return foreign.description }
    return "\(DataType(rawValue: dataType)?.name ?? "type \(dataType)") x \(count)"
  }

  final func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? {
    controlPlane.askCall(of: peer, operationNumber: operationNumber)
  }

  final func describe(_ call: CallRecord) -> CallDescription {
    let catalog = planner.policy.catalog
    let algorithm = call.collective.map {
      (name: catalog.name($0, number: call.algorithm), identifier: catalog.identifier($0, number: call.algorithm).rawValue)
    }
    return CallDescription(
      describe(call, algorithm: algorithm?.name ?? ""), identity: call.identity(algorithm: algorithm?.identifier ?? 0))
  }

  /// Describes a call whose algorithm is known by its name only, as it has no number here.
  final func describe(_ call: CallRecord, algorithm: String) -> String {
    let (collective, count) = (call.collective, call.count)
    let name = collective.map { $0.name + (call.isExchange ? " with counts" : "") } ?? "an unknown collective"
    guard let collective, collective != .barrier else { return "\(name) (\(algorithm))" }
    let operation =
      collective.combines ? " " + (ReduceOp(rawValue: call.operation)?.name ?? "operation \(call.operation)") : ""
    let root = collective.hasRoot ? ", root \(call.root)" : ""
    let type = DataType(rawValue: call.dataType)?.name ?? "type \(call.dataType)"
    // In an exchange every rank has a digest of its own, which says nothing to the others.
    let digest = call.isExchange ? "" : " (digest \(String(count, radix: 16)))"
    let elements =
      PlanKey.isDigest(count)
      ? "\(type) in unequal blocks\(digest)" : describeElements(dataType: call.dataType, count: count)
    return "\(name)\(operation) \(elements)\(root) (\(algorithm))"
  }

  // MARK: The end

  /// Ends this rank's part: later calls throw, links close, the others are told that this was no death. Idempotent.
  final func close() {
    if isClosed.exchange(true, ordering: .sequentiallyConsistent) { return }
    if isForked {
      // The descriptors are closed, and their numbers may be the child's by now; threads are not here. What is there stays
      // as it is.
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
