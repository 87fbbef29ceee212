import CTuttiLinux
import Glibc
import TuttiSystem

/// Speaks with a launcher about the key-value space of its job. One thread's at a time.
protocol LauncherClient {
  /// Whether this process can still say goodbye when another call has failed.
  var outlivesErrors: Bool { get }

  func put(_ value: String, for key: String, deadline: UInt64) throws(FailureReport)
  /// nil when nothing is stored under the key.
  func get(_ key: String, deadline: UInt64) throws(FailureReport) -> String?
  /// Returns when every rank of the job has called it.
  func barrier(deadline: UInt64) throws(FailureReport)
  func finalize(deadline: UInt64) throws(FailureReport)
}

/// The key-value space of a launcher, as the place where the ranks of one join meet.
///
/// Launchers have a barrier instead of a wait. So rank 0's `put` stores the value and enters the barrier, and the others'
/// `wait` enters it and gets the value: each rank enters it once.
///
/// A space that was used takes leave of the launcher when the process exits. Not earlier, since MPI may use the same
/// connection, before the join and after it.
package final class LauncherSpace: Rendezvous {
  private enum State: Sendable {
    case untouched
    case open(Box)
    /// A call has it, or never came back.
    case inUse
    case ended
  }

  /// One call's at a time, as ``State`` says.
  private final class Box: @unchecked Sendable {
    // @unchecked: whoever takes the box out of the state is its only user until it is put back.
    let client: any LauncherClient
    init(_ client: any LauncherClient) { self.client = client }
  }

  /// How the launcher's protocol is called.
  let name: String
  private let clock: MonotonicClock
  private let connect: @Sendable (UInt64) throws(FailureReport) -> any LauncherClient
  private let state = Lock(State.untouched)

  /// How long a launcher may take to answer a goodbye, in nanoseconds.
  private static let goodbyePatience = 2 * Clock.second

  /// - Parameter connect: Makes the client until a deadline; called when the space is first used.
  init(
    _ name: String, clock: MonotonicClock,
    connect: @escaping @Sendable (UInt64) throws(FailureReport) -> any LauncherClient
  ) {
    (self.name, self.clock, self.connect) = (name, clock, connect)
  }

  package func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    let deadline = clock.deadline(after: timeout)
    try use(deadline) { client throws(FailureReport) in
      try client.put(String(decoding: value, as: UTF8.self), for: key, deadline: deadline)
      try client.barrier(deadline: deadline)
    }
  }

  package func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    let deadline = clock.deadline(after: timeout)
    return try use(deadline) { client throws(FailureReport) in
      try client.get(key, deadline: deadline).map { Array($0.utf8) }
    }
  }

  package func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    let deadline = clock.deadline(after: timeout)
    return try use(deadline) { client throws(FailureReport) in
      try client.barrier(deadline: deadline)
      return try client.get(key, deadline: deadline).map { Array($0.utf8) }
    }
  }

  /// Makes the client now.
  func open(deadline: UInt64) throws(FailureReport) { try use(deadline) { _ throws(FailureReport) in } }

  /// Tells the launcher that this process needs it no more: without that, it takes the process's end for a crash. Does
  /// nothing when the space was never used, or when a call still waits for the launcher.
  func finalize() {
    let box = state.withLock { state -> Box? in
      guard case .open(let box) = state else { return nil }
      state = .ended
      return box
    }
    // A launcher that does not answer has other troubles than this process's goodbye.
    try? box?.client.finalize(deadline: clock.now() + Self.goodbyePatience)
  }

  /// Makes this process call ``finalize()`` when it exits; a forked child leaves that to its parent.
  private func finalizeAtExit() {
    guard Self.generation == tutti_current_fork_generation() else { return }
    Self.leaving.withLock { $0.append(self) }
  }

  private static let leaving = Lock<[LauncherSpace]>([])
  /// The process that has the exit handler.
  private static let generation: UInt32 = {
    atexit { LauncherSpace.finalizeAll() }
    return tutti_current_fork_generation()
  }()

  private static func finalizeAll() {
    guard generation == tutti_current_fork_generation() else { return }
    for space in leaving.withLock({ $0 }) { space.finalize() }
  }

  private func use<Value>(
    _ deadline: UInt64, _ body: (any LauncherClient) throws(FailureReport) -> Value
  ) throws(FailureReport) -> Value {
    let before = state.withLock { state in
      defer { if case .ended = state {} else { state = .inUse } }
      return state
    }
    let client: any LauncherClient
    switch before {
    case .open(let box): client = box.client
    case .untouched:
      client = try connect(deadline)
      finalizeAtExit()
    case .inUse, .ended:
      throw FailureReport(
        .rendezvous, "the launcher's \(name) connection cannot be used again", advice: "Look at the first error")
    }
    do throws(FailureReport) {
      let value = try body(client)
      state.withLock { $0 = .open(Box(client)) }
      return value
    } catch {
      if client.outlivesErrors { state.withLock { $0 = .open(Box(client)) } }
      throw error
    }
  }
}

/// Which of a launcher's connections this process has used. The variable that names one stays when it is closed, and the
/// number may belong to something else by then.
package final class LauncherClaims: Sendable {
  package static let process = LauncherClaims()
  private let taken = Lock<Set<String>>([])

  package init() {}

  /// - Throws: `.rendezvous` when `connection` was claimed before.
  func claim(_ connection: String, over name: String) throws(FailureReport) {
    guard !taken.withLock({ $0.insert(connection).inserted }) else { return }
    throw FailureReport(
      .rendezvous, "this process has joined over \(name) before, and a launcher serves one join",
      advice: "Make further communicators with split or duplicate, or set TUTTI_RENDEZVOUS for another join")
  }
}
