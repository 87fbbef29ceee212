import Foundation

/// Starts the ranks of a job as processes of this program on this machine, and outlives them all.
///
/// Invariant: when ``run()`` returns, every process it started has ended and was reaped. If this process itself is killed,
/// the ranks end: each watches a pipe as its standard input (``Lifeline``), which the kernel then closes. Ranks do not see
/// Ctrl-C themselves: the launcher gets it and ends them, so that nobody reports a peer lost that the user has just stopped.
struct Launcher {
  let rankCount: Int
  /// How long a rank may stay behind after another has finished.
  let timeout: Duration

  /// How long the other ranks have to say what they saw after one has failed.
  private static let grace = Duration.seconds(5)

  private struct Child {
    let rank: Int
    let pid: pid_t
    var ended = false
  }

  /// How the job ended.
  struct Outcome {
    /// 0, 1 when a rank failed, 128 + the signal that stopped this process.
    var status: Int32 = 0
    /// Whether a rank was ended by a signal that did not come from here.
    var wasKilled = false
  }

  func run() throws -> Outcome {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGCHLD)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !Self.isIgnored(signal) { sigaddset(&signals, signal) }
    // Blocked rather than handled: they are taken one at a time below, and the ranks inherit no handler.
    sigprocmask(SIG_BLOCK, &signals, nil)
    var lifeline: [Int32] = [-1, -1]
    guard pipe(&lifeline) == 0 else { throw CommandFailure("pipe: \(systemErrorText()).") }
    // Closed in the ranks when they start, so that only this process has the write end.
    for descriptor in lifeline { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    defer { for descriptor in lifeline { close(descriptor) } }
    var children: [Child] = []
    do {
      let environment = Self.environment(rankCount: rankCount)
      for rank in 0..<rankCount { children.append(try start(rank, environment, lifeline: lifeline[0])) }
    } catch {
      Self.end(&children)
      throw error
    }
    return supervise(&children, signals)
  }

  private func supervise(_ children: inout [Child], _ signals: sigset_t) -> Outcome {
    var signals = signals
    var outcome = Outcome()
    var deadline: ContinuousClock.Instant?
    while true {
      for index in children.indices where !children[index].ended {
        guard let end = reap(&children[index]) else { continue }
        if end != .success { outcome.status = 1 }
        if end == .killed { outcome.wasKilled = true }
        let limit = ContinuousClock.now + (outcome.status == 0 ? timeout + Self.grace : Self.grace)
        deadline = min(deadline ?? limit, limit)
      }
      let late = children.filter { !$0.ended }.map(\.rank)
      if late.isEmpty { return outcome }
      // Rank 0 may take its time to draw and print what there is, when all went well.
      if let deadline, ContinuousClock.now >= deadline, outcome.status != 0 || late != [0] {
        let names = late.map(String.init).joined(separator: ", ")
        Terminal.error("\(late.count == 1 ? "rank" : "ranks") \(names) did not end after the others: killed")
        Self.end(&children)
        outcome.status = 1
        return outcome
      }
      var pause = timespec(tv_sec: 0, tv_nsec: 100_000_000)
      let signal = sigtimedwait(&signals, nil, &pause)
      if signal == SIGINT || signal == SIGTERM || signal == SIGHUP {
        Self.end(&children)
        outcome.status = 128 + signal
        return outcome
      }
    }
  }

  /// As `nohup` and shells in the background have it: to be taken, a signal would have to be blocked, and would then no longer be ignored.
  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    sigaction(signal, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  private enum End { case success, failure, killed }

  /// - Returns: nil while the process runs. A rank reports its own errors; a rank that could not is reported here.
  private func reap(_ child: inout Child) -> End? {
    var status: Int32 = 0
    guard waitpid(child.pid, &status, WNOHANG) == child.pid else { return nil }
    child.ended = true
    let signal = status & 0x7F
    if signal != 0 {
      let name = String(cString: strsignal(signal))
      Terminal.error("rank \(child.rank): process \(child.pid) was ended by signal \(signal) (\(name))")
      return .killed
    }
    return status == 0 ? .success : .failure
  }

  /// Kills and reaps what still runs.
  private static func end(_ children: inout [Child]) {
    // Stopped first, so that none lives to complain about the end of another.
    for child in children where !child.ended { kill(child.pid, SIGSTOP) }
    for child in children where !child.ended { kill(child.pid, SIGKILL) }
    for index in children.indices where !children[index].ended {
      var status: Int32 = 0
      while waitpid(children[index].pid, &status, 0) < 0 && errno == EINTR {}
      children[index].ended = true
    }
  }

  // MARK: Starting a rank

  private func start(_ rank: Int, _ environment: [String], lifeline: Int32) throws -> Child {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, lifeline, STDIN_FILENO)
    // Rank 0 prints the results; the others have nothing to say there.
    if rank != 0 { posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var blocked = sigset_t()
    sigemptyset(&blocked)
    sigaddset(&blocked, SIGINT)
    posix_spawnattr_setsigmask(&attributes, &blocked)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var arguments = CommandLine.arguments
    let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
    arguments.insert("--launched", at: end)
    var pid: pid_t = 0
    let code = withCStrings(arguments) { arguments in
      withCStrings(environment + ["TUTTI_RANK=\(rank)"]) { environment in
        posix_spawn(&pid, Self.executable, &actions, &attributes, arguments, environment)
      }
    }
    guard code == 0 else { throw CommandFailure("could not start rank \(rank) of \(rankCount): \(systemErrorText(code)).") }
    return Child(rank: rank, pid: pid)
  }

  /// This program by its own name, so that `ps` shows it.
  static let executable: String = {
    let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    guard let path, access(path, X_OK) == 0 else { return "/proc/self/exe" }
    return path
  }()

  /// The environment of every rank: this one's, with the job's own identity and a secret made for it.
  static func environment(rankCount: Int) -> [String] {
    var variables = ProcessInfo.processInfo.environment
    // What another launcher may have left must not contradict it.
    for name in LaunchVariables.all + ["TUTTI_SECRET", "TUTTI_SECRET_FILE"] { variables[name] = nil }
    variables["TUTTI_SIZE"] = "\(rankCount)"
    variables["TUTTI_RENDEZVOUS"] = "unix:@tutti-\(randomHex(words: 2))"
    variables["TUTTI_SECRET"] = randomHex(words: 4)
    return variables.map { "\($0.key)=\($0.value)" }
  }

  /// From the system's generator, which is made for secrets.
  private static func randomHex(words: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<words).map { _ in String(format: "%016lx", generator.next()) }.joined()
  }
}

/// Calls `body` with a null-ended array of C strings, which live until it returns.
func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}

/// The launcher's end, as a rank sees it: standard input is a pipe into which nobody writes, and which is closed when the
/// launcher is gone.
enum Lifeline {
  /// From now on this process ends with its launcher, whatever it is waiting for.
  static func hold() {
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { _exit(1) }
      }
    }
  }
}
