import CTuttiLinux
import Glibc
import TuttiSystem

/// Starts all children of this process from one thread that never ends, because the kernel kills children when the thread
/// that started them ends.
final class ChildStarter: Sendable {
  static let shared = ChildStarter()

  private struct State {
    var requests: [Request] = []
    /// The process that has the thread; 0 before it is started. A forked child has no such thread.
    var owner: pid_t = 0
    /// The pipe that is every child's standard input. Only this process has its write end.
    var lifeline: (read: Int32, write: Int32) = (-1, -1)
    /// The number of children that have not been reaped.
    var children = 0
    /// Whether this process ignored SIGCHLD before there were any. With that, the kernel would not tell how they ended.
    var ignoredChildren = false
  }

  private let state = Lock(State())
  private let bell = WakeWord()

  private final class Request: Sendable {
    let program: ChildProgram
    /// The child's number, or a negative error number; 0 before either.
    let result = Lock<pid_t>(0)
    let bell = WakeWord()

    init(_ program: ChildProgram) { self.program = program }
  }

  func start(_ program: ChildProgram) throws(LaunchError) -> pid_t {
    var program = program
    program.program = try Self.path(of: program.program)
    let ignoresChildren = try state.withLock { state throws(LaunchError) in
      try Self.prepare(&state, self)
      if program.descriptors[STDIN_FILENO] == nil {
        program.descriptors[STDIN_FILENO] = state.lifeline.read
        program.environment[Lifeline.variable] = Lifeline.pipeIdentity(state.lifeline.read).map(String.init)
      }
      if state.children == 0 { state.ignoredChildren = tutti_keep_children() == 1 }
      state.children += 1
      return state.ignoredChildren
    }
    if ignoresChildren && !program.isolates { program.ignoresChildren = true }
    let request = Request(program)
    state.withLock { $0.requests.append(request) }
    bell.wake()
    while true {
      let seen = request.bell.value
      let result = request.result.withLock { $0 }
      if result > 0 { return result }
      if result < 0 {
        childWasReaped()
        throw LaunchError(
          -result == ENOENT || -result == EACCES || -result == ENOEXEC ? .program : .resources,
          "\(program.program) could not be started: \(errorText(-result)).")
      }
      request.bell.wait(while: seen, nanoseconds: Clock.second)
    }
  }

  func childWasReaped() {
    state.withLock { state in
      state.children -= 1
      if state.children == 0 && state.ignoredChildren { tutti_forget_children() }
    }
  }

  private static func prepare(_ state: inout State, _ starter: ChildStarter) throws(LaunchError) {
    if state.owner == getpid() { return }
    guard state.owner == 0 else {
      throw LaunchError(
        .resources, "this process is a fork of one that started jobs, and cannot start any itself: exec first.")
    }
    var ends: [Int32] = [-1, -1]
    guard tutti_pipe(&ends) == 0 else { throw LaunchError(.resources, "pipe: \(errorText(errno)).") }
    do throws(FailureReport) {
      try startDetachedThread("tutti starter", orElse: "cannot start the thread that starts ranks") { starter.work() }
    } catch {
      for end in ends { tutti_close(end) }
      throw LaunchError(error)
    }
    state.lifeline = (ends[0], ends[1])
    state.owner = getpid()
  }

  private func work() {
    while true {
      let seen = bell.value
      let requests = state.withLock { state -> [Request] in
        defer { state.requests = [] }
        return state.requests
      }
      for request in requests {
        let pid = Self.spawn(request.program)
        request.result.withLock { $0 = pid }
        request.bell.wake()
      }
      if requests.isEmpty { bell.wait(while: seen, nanoseconds: 60 * Clock.second) }
    }
  }

  private static func spawn(_ program: ChildProgram) -> pid_t {
    let (targets, sources) = (Array(program.descriptors.keys), Array(program.descriptors.values))
    var mask = program.mask
    if program.isolates { sigemptyset(&mask) }
    return withCStrings([program.program] + program.arguments) { arguments in
      withCStrings(program.environment.map { "\($0.key)=\($0.value)" }) { environment in
        targets.withUnsafeBufferPointer { targets in
          sources.withUnsafeBufferPointer { sources in
            withUnsafePointer(to: mask) { mask in
              var request = tutti_spawn_request(
                program: arguments[0], arguments: arguments, environment: environment, sources: sources.baseAddress,
                targets: targets.baseAddress, descriptor_count: Int32(targets.count), mask: mask,
                isolates: program.isolates ? 1 : 0, ignores_sigchld: program.ignoresChildren ? 1 : 0)
              return tutti_spawn(&request)
            }
          }
        }
      }
    }
  }

  private static func path(of program: String) throws(LaunchError) -> String {
    if program.contains("/") { return program }
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    for folder in folders.split(separator: ":", omittingEmptySubsequences: false) {
      let path = (folder.isEmpty ? "." : folder) + "/" + program
      if access(path, X_OK) == 0 { return path }
    }
    throw LaunchError(.program, "no program '\(program)' is in PATH. Give a path with a slash, such as ./\(program).")
  }
}
