import TuttiSystem

/// How a communicator fails: once, for the first cause that anybody reports, which is told to every neighbour and to this
/// rank's runtime.
///
/// It says whom to tell what; telling is others' work. It is the only machine that knows of a first cause: another one
/// beside it, over the same edges, is how a communicator that outlives a failure will count the next one.
///
/// Invariant: `firstCause` is set once. It is announced to the runtime once, and told to every edge that stands then or is
/// attached later.
struct FailureSpread {
  /// What a first cause leads to.
  struct Spread {
    let message: ControlMessage
    /// The neighbour that it came from, and that need not be told.
    let source: Int?
    /// Whether to tell the runtime now, because it listens.
    let isAnnounced: Bool
  }

  private(set) var firstCause: FailureReport?
  /// Whether this rank has left the communicator, and so fails no more.
  private(set) var hasLeft = false
  private var isListening = false

  /// Whether connecting to others, asking them and waiting for them has no purpose any more.
  var isOver: Bool { firstCause != nil || hasLeft }

  /// Takes a cause that this rank has found, or that a neighbour tells it.
  ///
  /// - Returns: Whom to tell; nil when it is not the first cause, or when this rank has left.
  mutating func report(_ cause: FailureReport, from source: Int?) -> Spread? {
    guard !isOver else { return nil }
    firstCause = cause
    return Spread(message: .abort(cause), source: source, isAnnounced: isListening)
  }

  /// The message for an edge that is attached only now.
  var lateNews: ControlMessage? { firstCause.map { .abort($0) } }

  /// The runtime listens from now on. Returns what it has missed.
  mutating func listen() -> FailureReport? {
    precondition(!isListening, "handlers are set once")
    isListening = true
    return firstCause
  }

  /// Notes that this rank leaves. Returns whether that was new.
  mutating func leave() -> Bool {
    defer { hasLeft = true }
    return !hasLeft
  }
}
