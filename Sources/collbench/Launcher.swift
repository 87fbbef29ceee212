import CTuttiLinux
import Glibc

/// Starts the ranks of a job as processes of this program on this machine, and outlives them all.
///
/// Invariant: when ``run()`` returns, every process it started has ended and was reaped. If this process itself is
/// killed, the kernel kills the ranks (`tutti_die_with_parent`). Ranks do not see Ctrl-C themselves: the launcher
/// gets it and ends them, so that nobody reports a peer lost that the user has just stopped.
struct Launcher {
  let rankCount: Int
  /// Seconds one operation may take: how long a rank may stay behind after another has finished.
  let timeout: Double

  /// How long the other ranks have to say what they saw after one has failed.
  private static let graceSeconds = 3.0

  private struct Child {
    let rank: Int
    let pid: pid_t
    var ended = false
  }

  /// - Returns: The exit status: 0, 1 when a rank failed, 128 + the signal that stopped this process.
  func run() throws -> Int32 {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGCHLD] { sigaddset(&signals, signal) }
    // Blocked rather than handled: they are taken one at a time below, and the ranks inherit no handler.
    sigprocmask(SIG_BLOCK, &signals, nil)
    var children: [Child] = []
    do {
      let environment = try Self.environment(rankCount: rankCount)
      for rank in 0..<rankCount { children.append(try start(rank, environment)) }
    } catch {
      Self.end(&children)
      throw error
    }
    return supervise(&children, signals)
  }

  private func supervise(_ children: inout [Child], _ signals: sigset_t) -> Int32 {
    var signals = signals
    var failed = false
    var deadline: UInt64?
    while children.contains(where: { !$0.ended }) {
      for index in children.indices where !children[index].ended {
        guard let failure = reap(&children[index]) else { continue }
        failed = failed || failure
        let wait = failed ? Self.graceSeconds : timeout + Self.graceSeconds
        let limit = tutti_now_ns() + UInt64(wait * 1e9)
        deadline = min(deadline ?? limit, limit)
      }
      let late = children.filter { !$0.ended }.map(\.rank)
      if late.isEmpty { break }
      if let deadline, tutti_now_ns() >= deadline {
        let names = late.map(String.init).joined(separator: ", ")
        Terminal.error("collbench: \(late.count == 1 ? "rank" : "ranks") \(names) did not end after the others: killed")
        Self.end(&children)
        return 1
      }
      var pause = timespec(tv_sec: 0, tv_nsec: 100_000_000)
      let signal = sigtimedwait(&signals, nil, &pause)
      if signal == SIGINT || signal == SIGTERM || signal == SIGHUP {
        Self.end(&children)
        return 128 + signal
      }
    }
    return failed ? 1 : 0
  }

  /// - Returns: nil while the process runs; then whether it failed. A rank reports its own errors; a rank that could not is
  ///   reported here.
  private func reap(_ child: inout Child) -> Bool? {
    var status: Int32 = 0
    guard waitpid(child.pid, &status, WNOHANG) == child.pid else { return nil }
    child.ended = true
    let signal = status & 0x7F
    if signal != 0 {
      let name = String(cString: strsignal(signal))
      Terminal.error("collbench: rank \(child.rank): process \(child.pid) was ended by signal \(signal) (\(name))")
    }
    return status != 0
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

  private func start(_ rank: Int, _ environment: [String]) throws -> Child {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
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
    arguments.insert(contentsOf: ["--launched-by", "\(getpid())"], at: end)
    var pid: pid_t = 0
    let code = withCStrings(arguments) { arguments in
      withCStrings(environment + ["TUTTI_RANK=\(rank)"]) { environment in
        posix_spawn(&pid, Self.executable, &actions, &attributes, arguments, environment)
      }
    }
    guard code == 0 else {
      throw CommandFailure("could not start rank \(rank) of \(rankCount): \(systemErrorText(code)).")
    }
    return Child(rank: rank, pid: pid)
  }

  /// This program by its own name, so that `ps` shows it; the kernel's link to it where the name is gone.
  private static let executable: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return access(path, X_OK) == 0 ? path : "/proc/self/exe"
  }()

  /// The environment of every rank: this one's, with the job's own identity and a secret made for it.
  private static func environment(rankCount: Int) throws -> [String] {
    // What another launcher may have left must not contradict it.
    let own: Set = [
      "TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET", "TUTTI_SECRET_FILE", "RANK", "WORLD_SIZE",
      "MASTER_ADDR", "MASTER_PORT",
    ]
    var entries: [String] = []
    var cursor = environ
    while let entry = cursor.pointee {
      let text = String(cString: entry)
      if !own.contains(String(text.prefix { $0 != "=" })) { entries.append(text) }
      cursor += 1
    }
    return entries + [
      "TUTTI_SIZE=\(rankCount)", "TUTTI_RENDEZVOUS=unix:@tutti-\(try randomHex(bytes: 16))",
      "TUTTI_SECRET=\(try randomHex(bytes: 32))",
    ]
  }

  private static func randomHex(bytes: Int) throws -> String {
    var buffer = [UInt8](repeating: 0, count: bytes)
    guard getentropy(&buffer, bytes) == 0 else { throw CommandFailure("getentropy: \(systemErrorText()).") }
    return buffer.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// Calls `body` with a null-ended array of C strings, which live until it returns.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
