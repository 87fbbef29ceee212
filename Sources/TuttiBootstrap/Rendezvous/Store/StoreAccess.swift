import TuttiSystem

/// One key of a store, as a join uses it: every call runs on a thread of its own, which is left behind when the store does
/// not keep its time limit, and every error says which call failed and what the store said.
struct StoreAccess: Sendable {
  let store: any Rendezvous
  let key: String
  /// This rank, for messages.
  let rank: Int
  let clock: MonotonicClock

  /// How much longer than its limit a call is waited for, so that the store's own error is heard.
  private static let grace = 200 * Clock.millisecond
  private static let errorTextBytesMax = 256

  private enum Outcome<Value: Sendable>: Sendable {
    case value(Value)
    case failure(String)
  }

  func put(_ value: [UInt8], deadline: UInt64) throws(FailureReport) {
    let key = key
    try call("store rank 0's address", until: deadline) { store, timeout in
      try store.put(value, for: key, timeout: timeout)
    }
  }

  func get(deadline: UInt64) throws(FailureReport) -> [UInt8]? {
    let key = key
    return try call("tell the value", until: deadline) { store, timeout in try store.get(key, timeout: timeout) }
  }

  /// - Throws: `.rendezvous`, with rank 0 as the peer, when nothing is stored until the deadline.
  func wait(deadline: UInt64) throws(FailureReport) -> [UInt8] {
    let key = key
    let started = clock.now()
    var cause: FailureReport?
    do throws(FailureReport) {
      let value = try call("wait for the value", until: deadline) { store, timeout in
        try store.wait(for: key, timeout: timeout)
      }
      if let value { return value }
    } catch {
      // Many stores throw when the time is up: that is no failure of theirs.
      if clock.now() + Clock.millisecond < deadline { throw error }
      cause = error
    }
    throw FailureReport(
      .rendezvous, rank: rank, peer: 0,
      "rank 0 has left no address in the rendezvous \(name) within \(elapsed(since: started)) s",
      advice:
        "Check that rank 0 is running, and that all ranks use the same store and the same name; raise TUTTI_TIMEOUT if it starts late",
      cause: cause)
  }

  /// What the store and the key are called in messages.
  var name: String { MeetingPlace.store(store, key: key).description }

  private func elapsed(since start: UInt64) -> String {
    secondsText((Double(clock.now() - start) / 1e8).rounded() / 10)
  }

  private func call<Value: Sendable>(
    _ what: String, until deadline: UInt64, _ body: @escaping @Sendable (any Rendezvous, Duration) throws -> Value
  ) throws(FailureReport) -> Value {
    let started = clock.now()
    let timeout = Duration.nanoseconds(Int64(clamping: max(deadline, started) - started))
    let store = store
    let outcome: Outcome<Value>? = try limitedCall(
      "tutti-store", until: max(deadline, started) + Self.grace, clock: clock, rank: rank,
      orElse: "cannot start a thread to ask the rendezvous"
    ) {
      do {
        return .value(try body(store, timeout))
      } catch {
        return .failure(Self.text(of: error))
      }
    }
    switch outcome {
    case .value(let value):
      return value
    case .failure(let text):
      throw FailureReport(
        .rendezvous, rank: rank, "the rendezvous \(name) could not \(what)",
        advice: "Look at the store: its own error is the cause", cause: FailureReport(.rendezvous, text))
    case nil:
      throw FailureReport(
        .rendezvous, rank: rank, "the rendezvous \(name) did not \(what) within \(elapsed(since: started)) s",
        advice: "The store does not answer, or does not keep its time limit; a barrier waits for all ranks")
    }
  }

  private static func text(of error: any Error) -> String {
    let text = (error as? FailureReport)?.message ?? String(describing: error)
    return text.utf8.count <= errorTextBytesMax
      ? text : String(decoding: text.utf8.prefix(errorTextBytesMax), as: UTF8.self)
  }
}
