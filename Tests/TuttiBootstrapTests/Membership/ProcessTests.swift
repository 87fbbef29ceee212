import CTuttiFork
import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiLaunch
import TuttiSystem

@testable import TuttiBootstrap

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// What a rank that is a process of its own does; runs only in processes that ``ProcessTests`` starts.
@Suite struct ChildRank {
  @Test(.enabled(if: variable("TUTTI_TEST_CHILD") != nil, "runs in processes that ProcessTests starts"))
  func play() throws {
    let mode = variable("TUTTI_TEST_CHILD") ?? ""
    var environment: [String: String] = [:]
    for name in ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET"] { environment[name] = variable(name) }
    let identity = try LaunchIdentity.read(environment)
    let recorder = Recorder()
    let waitingFor = variable("TUTTI_TEST_WAITING_FOR").flatMap(Int.init) ?? -1
    recorder.status.withLock { $0 = RankStatus(entered: 3, completed: 2, waitingFor: waitingFor, operation: "barrier") }
    do throws(FailureReport) {
      let member = try Membership.join(
        identity: identity, secret: try JobSecret.read(environment), offers: testOffers,
        deadline: Patience.deadline(seconds: Double(variable("TUTTI_TEST_SECONDS") ?? "") ?? 15))
      member.activate(recorder.handlers)
      if mode == "fork" { tutti_fork_sleeper(3) }
      say("READY")
      if mode == "diagnose" {
        _ = Sockets.wait(STDIN_FILENO, for: POLLIN, until: Patience.deadline(seconds: 15))
        let found = member.failAtTimeout(
          ExpiredWait(operationNumber: 3, operation: "barrier", waitingFor: waitingFor, timeoutSeconds: 1))
        say("FAILED \(found.peer) \(found.code) \(found)")
      } else if mode == "report" {
        if identity.rank == 3 {
          _ = Sockets.wait(STDIN_FILENO, for: POLLIN, until: Patience.deadline(seconds: 15))
          member.report(FailureReport(.mismatch, rank: 3, peer: 3, "what really happened"))
          _exit(1)
        }
        let failure = recorder.awaitFailure(seconds: 15)
        say("FAILED \(failure?.peer ?? -2) \(failure.map { "\($0.code)" } ?? "none")")
      } else if mode == "leave" {
        _ = Sockets.wait(STDIN_FILENO, for: POLLIN, until: Patience.deadline(seconds: 15))
        say(recorder.failures.withLock { $0.first }.map { "FAILED \($0)" } ?? "QUIET")
        member.leave()
      } else {
        let failure = recorder.awaitFailure(seconds: 15)
        say("FAILED \(failure?.peer ?? -2) \(failure.map { "\($0.code)" } ?? "none") \(failure.map { "\($0)" } ?? "")")
      }
    } catch {
      say("REFUSED \(error.peer) \(error.code) \(error)")
    }
    // Without a goodbye, as a program that dies of its error.
    _exit(0)
  }

  private func say(_ text: String) {
    let line = text + "\n"
    write(Int32(variable("TUTTI_TEST_OUTPUT") ?? "") ?? STDOUT_FILENO, line, line.utf8.count)
  }
}

/// A rank in a process of its own. Killed when it goes out of scope.
private final class ChildProcess {
  var pid: pid_t { child.pid }
  private let child: TuttiLaunch.ChildProcess
  private let input: Int32
  private let output: Int32
  private var text: [UInt8] = []

  init(_ mode: String, rank: Int, of rankCount: Int, rendezvous: RendezvousAddress, waitingFor: Int, seconds: Double) throws
  {
    var toChild: [Int32] = [-1, -1]
    var fromChild: [Int32] = [-1, -1]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &toChild) == 0 && pipe(&fromChild) == 0)
    for descriptor in toChild + fromChild { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    defer {
      close(toChild[0])
      close(fromChild[1])
    }
    (input, output) = (toChild[1], fromChild[0])
    let variables = currentEnvironment().filter { !$0.key.hasPrefix("TUTTI_") }
    let additions = [
      "TUTTI_TEST_CHILD": mode, "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "\(rankCount)", "TUTTI_RENDEZVOUS": "\(rendezvous)",
      "TUTTI_SECRET": "of children", "TUTTI_TEST_WAITING_FOR": "\(waitingFor)", "TUTTI_TEST_OUTPUT": "100",
      "TUTTI_TEST_SECONDS": "\(seconds)",
    ]
    var program = ChildProgram(
      "/proc/self/exe", ["--testing-library", "swift-testing", "--filter", "ChildRank"],
      environment: variables.merging(additions) { $1 })
    let nothing = open("/dev/null", O_WRONLY | O_CLOEXEC)
    defer { close(nothing) }
    program.descriptors = [STDIN_FILENO: toChild[0], 100: fromChild[1], STDOUT_FILENO: nothing, STDERR_FILENO: nothing]
    child = try TuttiLaunch.ChildProcess(program)
  }

  deinit {
    child.stop()
    close(input)
    close(output)
  }

  func stop(with signal: Int32) { child.send(signal) }

  /// Stops it. Returns once all its threads have: on a busy machine they go on for a while, and answer questions.
  func halt() -> Bool {
    child.send(SIGSTOP)
    return Clock.wait(until: Patience.deadline(seconds: 5)) {
      var news = siginfo_t()
      return waitid(P_PID, id_t(pid), &news, WSTOPPED | WNOHANG | WNOWAIT) == 0 && news.si_signo == SIGCHLD
    }
  }

  func reap() { while child.end() == nil { Clock.pause(Clock.millisecond) } }

  func go() { _ = send(input, "\n", 1, Int32(MSG_NOSIGNAL)) }

  /// The next line of the child, within `seconds`.
  func line(seconds: Double) -> String {
    let deadline = Patience.deadline(seconds: seconds)
    while true {
      if let end = text.firstIndex(of: 10) {
        defer { text.removeFirst(end + 1) }
        return String(decoding: text[..<end], as: UTF8.self)
      }
      guard Sockets.wait(output, for: POLLIN, until: deadline) else { return "SILENT" }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(output, &buffer, buffer.count)
      guard count > 0 else { return "CLOSED" }
      text += buffer[..<count]
    }
  }
}

extension OverSockets {
  /// Ranks that are processes, killed and stopped.
  @Suite(.serialized) struct ProcessTests {
    private func start(
      _ mode: String, _ rankCount: Int, rendezvous: RendezvousAddress? = nil, seconds: Double = 15,
      waitingFor: (Int) -> Int = { _ in -1 }
    ) throws -> [ChildProcess] {
      let meeting = rendezvous ?? freshRendezvous()
      return try (0..<rankCount).map {
        try ChildProcess(
          mode, rank: $0, of: rankCount, rendezvous: meeting, waitingFor: waitingFor($0), seconds: seconds)
      }
    }

    @Test(arguments: [("wait", 0), ("wait", 1), ("wait", 3), ("fork", 0), ("fork", 2)])
    func aKilledRankIsNamedAtOnce(_ mode: String, _ victim: Int) throws {
      let children = try start(mode, 4)
      for child in children { #expect(child.line(seconds: 20) == "READY") }
      let start = monotonicNanoseconds()
      children[victim].stop(with: SIGKILL)
      for (rank, child) in children.enumerated() where rank != victim {
        let line = child.line(seconds: 5)
        #expect(line.hasPrefix("FAILED \(victim) peerLost"), "rank \(rank): \(line)")
        #expect(line.contains("rank \(victim) (pid \(children[victim].pid)"))
      }
      let elapsed = monotonicNanoseconds() - start
      #expect(elapsed < UInt64(Patience.factor) * Clock.second, "\(elapsed / Clock.millisecond) ms")
    }

    /// In a ring of 8 every rank waits for the one before it; rank 1 has children in the control tree.
    @Test(arguments: [0, 1, 3, 7])
    func aStoppedRankIsNamedByAll(_ victim: Int) throws {
      let children = try start("diagnose", 8, waitingFor: { ($0 + 7) % 8 })
      for child in children { #expect(child.line(seconds: 30) == "READY") }
      try #require(children[victim].halt())
      for (rank, child) in children.enumerated() where rank != victim { child.go() }
      for (rank, child) in children.enumerated() where rank != victim {
        let line = child.line(seconds: 10)
        #expect(line.hasPrefix("FAILED \(victim) timeout"), "rank \(rank): \(line)")
      }
    }

    /// The others see processes end that are not their neighbours in the tree, and rank 0, which would pass on their
    /// goodbyes, is gone.
    @Test(arguments: [[0, 3, 1, 6, 2, 5, 4], [1, 2, 0, 4, 3, 6, 5]])
    func ranksThatLeaveAndExitAreNotDead(_ order: [Int]) throws {
      let children = try start("leave", 7)
      for child in children { #expect(child.line(seconds: 20) == "READY") }
      for rank in order {
        children[rank].go()
        #expect(children[rank].line(seconds: 5) == "QUIET", "rank \(rank)")
        children[rank].reap()
        Clock.pause(20 * Clock.millisecond)
      }
    }

    /// A program that dies of its error right after it reported it is not what the others blame.
    @Test func aReportOutlivesItsProcess() throws {
      let children = try start("report", 6)
      for child in children { #expect(child.line(seconds: 20) == "READY") }
      children[3].go()
      for (rank, child) in children.enumerated() where rank != 3 {
        let line = child.line(seconds: 5)
        #expect(line.hasPrefix("FAILED 3 mismatch"), "rank \(rank): \(line)")
      }
    }

    @Test func aRankStoppedWhileJoiningIsNamed() throws {
      let rendezvous = freshRendezvous()
      let victim = try ChildProcess("wait", rank: 1, of: 3, rendezvous: rendezvous, waitingFor: -1, seconds: 15)
      victim.stop(with: SIGSTOP)
      let others = try [0, 2].map {
        try ChildProcess("wait", rank: $0, of: 3, rendezvous: rendezvous, waitingFor: -1, seconds: 3)
      }
      for child in others {
        let line = child.line(seconds: 20)
        #expect(line.hasPrefix("REFUSED 1 rendezvous") && line.contains("rank 1 of 3 has not joined"), "\(line)")
      }
    }
  }
}
