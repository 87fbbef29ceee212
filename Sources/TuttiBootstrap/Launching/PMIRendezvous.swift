import TuttiSystem

/// The key-value space of a launcher that speaks PMI-1, as the place where the ranks of one join meet.
///
/// PMI-1 has a barrier instead of a wait. So rank 0's `put` stores the value and enters the barrier, and the others' `wait`
/// enters it and gets the value: each rank enters it once.
///
/// The launcher knows one connection for each process, and none after its end: a process meets over PMI once.
package final class PMIRendezvous: Rendezvous {
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
    let client: PMIClient
    init(_ client: PMIClient) { self.client = client }
  }

  private let descriptor: Int32
  private let clock: MonotonicClock
  private let claims: PMIClaims
  private let state = Lock(State.untouched)

  package init(descriptor: Int32, claims: PMIClaims = .process, clock: MonotonicClock = .system) {
    self.descriptor = descriptor
    self.claims = claims
    self.clock = clock
  }

  package func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    let deadline = deadline(timeout)
    try use(deadline) { client throws(FailureReport) in
      try client.put(String(decoding: value, as: UTF8.self), for: key, deadline: deadline)
      try client.barrier(deadline: deadline)
    }
  }

  package func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    let deadline = deadline(timeout)
    return try use(deadline) { client throws(FailureReport) in
      try client.get(key, deadline: deadline).map { Array($0.utf8) }
    }
  }

  package func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    let deadline = deadline(timeout)
    return try use(deadline) { client throws(FailureReport) in
      try client.barrier(deadline: deadline)
      return try client.get(key, deadline: deadline).map { Array($0.utf8) }
    }
  }

  /// Tells the launcher that this process needs it no more, and closes the connection. Does nothing when none was made, or
  /// when a call still waits for the launcher.
  func finalize() {
    let box = state.withLock { state -> Box? in
      guard case .open(let box) = state else { return nil }
      state = .ended
      return box
    }
    // A launcher that does not answer has other troubles than this process's goodbye.
    try? box?.client.finalize(deadline: clock.now() + 2 * Clock.second)
  }

  private func deadline(_ timeout: Duration) -> UInt64 {
    let (seconds, attoseconds) = max(timeout, .zero).components
    return clock.now() &+ UInt64(min(seconds, 1 << 30)) * Clock.second &+ UInt64(attoseconds / 1_000_000_000)
  }

  private func use<Value>(
    _ deadline: UInt64, _ body: (PMIClient) throws(FailureReport) -> Value
  ) throws(FailureReport) -> Value {
    let before = state.withLock { state in
      defer { if case .ended = state {} else { state = .inUse } }
      return state
    }
    let client: PMIClient
    switch before {
    case .open(let box): client = box.client
    case .untouched:
      try claims.claim(descriptor)
      client = try PMIClient(descriptor: descriptor, clock: clock)
      try client.begin(deadline: deadline)
    case .inUse, .ended:
      throw FailureReport(
        .rendezvous, "the launcher's PMI connection cannot be used again", advice: "Look at the first error")
    }
    let value = try body(client)
    state.withLock { $0 = .open(Box(client)) }
    return value
  }
}

/// Which descriptors have been taken for PMI. The variable that names one stays when it is closed, and the number may
/// belong to something else by then.
package final class PMIClaims: Sendable {
  package static let process = PMIClaims()
  private let taken = Lock<Set<Int32>>([])

  package init() {}

  func claim(_ descriptor: Int32) throws(FailureReport) {
    guard !taken.withLock({ $0.insert(descriptor).inserted }) else { return }
    throw FailureReport(
      .rendezvous, "this process has joined over PMI before, and a launcher serves one join",
      advice: "Make further communicators with split or duplicate, or set TUTTI_RENDEZVOUS for another join")
  }
}
