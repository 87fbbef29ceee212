import CTuttiLinux

/// Runs `body` on a thread of its own that blocks all signals, so that the program's handlers run on the program's threads.
///
/// - Parameters:
///   - name: For debuggers; 15 bytes at most.
///   - message: The message of the failure that is thrown.
package func startDetachedThread(
  _ name: String, rank: Int = -1, orElse message: String = "cannot start a thread", _ body: @escaping @Sendable () -> Void
) throws(FailureReport) {
  let box = Unmanaged.passRetained(DetachedBody(body))
  let code = tutti_start_thread(
    { Unmanaged<DetachedBody>.fromOpaque($0!).takeRetainedValue().run() }, box.toOpaque(), name)
  guard code == 0 else {
    box.release()
    throw FailureReport(
      .resources, rank: rank, message, advice: "Raise the limit of processes and threads (ulimit -u)", systemError: code)
  }
}

/// Starts an engine's own threads: through the system, or in a test that runs their bodies when it likes.
package struct ThreadStarter: Sendable {
  /// Starts threads as ``startDetachedThread(_:rank:orElse:_:)`` does.
  package static let system = ThreadStarter { name, body throws(FailureReport) in try startDetachedThread(name, body) }

  private let starter: @Sendable (String, @escaping @Sendable () -> Void) throws(FailureReport) -> Void

  /// - Parameter start: Starts a thread of this name that runs this body; throws where it cannot be started.
  package init(
    _ start: @escaping @Sendable (String, @escaping @Sendable () -> Void) throws(FailureReport) -> Void
  ) { starter = start }

  package func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(FailureReport) {
    try starter(name, body)
  }
}

private final class DetachedBody: Sendable {
  let run: @Sendable () -> Void

  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
