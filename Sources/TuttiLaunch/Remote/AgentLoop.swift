import CTuttiLinux
import Glibc
import TuttiSystem

/// An agent's life: one thread that waits for the launcher's words, for its ranks' output, words and ends, and passes them
/// on.
///
/// Invariant: it never waits for one of them alone, so the launcher hears from it while a rank prints nothing, or too much.
final class AgentLoop {
  private let version: String
  private var reader = FrameReader()
  private var queue = FrameQueue()
  private var ranks: [AgentProcess] = []
  private var pmi = PMIServer()
  private var isPaused = false
  private var lastHeard = monotonicNanoseconds()
  private var nextHeartbeat = monotonicNanoseconds()

  init(version: String) { self.version = version }

  func run() -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    let flags = fcntl(STDOUT_FILENO, F_GETFL)
    _ = fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK)
    queue.add(line: "\(AgentProtocol.greeting) \(AgentProtocol.version) \(version)")
    defer { end() }
    while true {
      wait()
      guard hear() else { return 0 }
      if !isPaused && monotonicNanoseconds() > lastHeard + AgentProtocol.silenceLimit {
        // Its connection is cut; nobody reads this but a log of the remote shell's.
        let seconds = AgentProtocol.silenceLimit / Clock.second
        try? StandardStream.error.write(
          "tutti agent: the launcher has not been heard for \(seconds) s: its ranks end here\n")
        return 1
      }
      for rank in ranks { serve(rank) }
      if monotonicNanoseconds() >= nextHeartbeat {
        nextHeartbeat = monotonicNanoseconds() + AgentProtocol.heartbeat
        report(.alive)
      }
      guard queue.write(to: STDOUT_FILENO) else { return 0 }
    }
  }

  private func report(_ report: AgentReport) { queue.add(report.bytes) }

  /// Waits until there is something to do, 100 ms at most.
  private func wait() {
    var entries = [pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)]
    if !queue.isEmpty { entries.append(pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)) }
    for rank in ranks {
      // What the launcher does not take is not read: ranks wait then, as for any slow reader.
      let streams = queue.count < AgentProtocol.queueBytesMax ? rank.streams : []
      for descriptor in streams + [rank.pmi] {
        if let descriptor { entries.append(pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)) }
      }
      if let watch = rank.watch, rank.isWatched { entries.append(pollfd(fd: watch.raw, events: Int16(POLLIN), revents: 0)) }
    }
    poll(&entries, nfds_t(entries.count), 100)
  }

  private static func isReadable(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  // MARK: The launcher

  /// Takes the launcher's words. False when it has no more.
  private func hear() -> Bool {
    guard Self.isReadable(STDIN_FILENO) else { return true }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(STDIN_FILENO, &bytes, bytes.count)
    if count < 0 && (errno == EINTR || errno == EAGAIN) { return true }
    guard count > 0 else { return false }
    lastHeard = monotonicNanoseconds()
    reader.add(bytes[..<count])
    do throws(MalformedMessage) {
      while let frame = try reader.next() { obey(try LauncherMessage(frame)) }
      return true
    } catch {
      report(.refused("its launcher said something that it does not understand (\(error.what))"))
      _ = queue.write(to: STDOUT_FILENO)
      return false
    }
  }

  private func obey(_ message: LauncherMessage) {
    switch message {
    case .job(let job): start(job)
    case .alive: break
    case .pause:
      isPaused = true
      for rank in ranks { rank.process.send(SIGSTOP) }
    case .resume:
      isPaused = false
      for rank in ranks { rank.process.send(SIGCONT) }
    case .barrierOut(let values): obey(pmi.leaveBarrier(values))
    case .readerLeft(let stream):
      for rank in ranks where (1...2).contains(stream) { rank.closeStream(Int(stream) - 1) }
    }
  }

  private func start(_ job: AgentJob) {
    if chdir(job.folder) != 0 {
      let here = currentFolder() ?? "another one"
      report(.notice("the folder \(job.folder) cannot be entered there (\(errorText(errno))): ranks start in \(here)"))
    }
    do throws(LaunchError) {
      try makeRoom(ranks: job.ranks.count)
      for rank in job.ranks {
        do throws(LaunchError) {
          ranks.append(try AgentProcess(rank, environment: Self.environment(job)))
        } catch { throw LaunchError(error.code, "rank \(rank.rank) of \(job.rankCount): \(error)") }
      }
    } catch { report(.refused(error.description)) }
  }

  /// This host's environment without what other launchers have left, and with the job's.
  private static func environment(_ job: AgentJob) -> [String: String] {
    var variables = currentEnvironment()
    for name in JobIdentity.variables + JobIdentity.othersVariables { variables[name] = nil }
    variables.merge(job.environment) { $1 }
    variables["PMI_SIZE"] = "\(job.rankCount)"
    variables["PMI_JOBID"] = job.name
    variables["TUTTI_SECRET"] = job.secret
    return variables
  }

  /// Raises this process's limit of open files, and so its ranks', to what they all need.
  private func makeRoom(ranks: Int) throws(LaunchError) {
    let need = rlim_t(64 + 4 * ranks)
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < need else { return }
    limit.rlim_cur = min(need, limit.rlim_max)
    guard limit.rlim_cur == need, setrlimit(resource, &limit) == 0 else {
      throw LaunchError(
        .resources, "\(ranks) ranks need \(need) open files, and the hard limit is \(limit.rlim_max): raise it (ulimit -Hn)."
      )
    }
  }

  // MARK: Ranks

  private func serve(_ rank: AgentProcess) {
    if queue.count < AgentProtocol.queueBytesMax {
      for stream in 0...1 {
        guard let descriptor = rank.streams[stream], Self.isReadable(descriptor.raw) else { continue }
        if let bytes = rank.read(stream) { report(.output(rank: rank.rank, stream: UInt8(stream + 1), bytes: bytes)) }
      }
    }
    if let socket = rank.pmi, Self.isReadable(socket.raw) {
      switch Sockets.receiveNow(socket.raw, max: 4096) {
      case .bytes(let bytes): obey(pmi.receive(bytes, from: rank.rank))
      case .nothing: break
      case .end: rank.closePMI()
      }
    }
    if let end = rank.newEnd() { report(.ended(rank: rank.rank, process: rank.process.pid, end)) }
  }

  private func obey(_ consequences: [PMIServer.Consequence]) {
    for consequence in consequences {
      switch consequence {
      case .report(let report): self.report(report)
      case .answer(let number, let line):
        guard let rank = ranks.first(where: { $0.rank == number }), let socket = rank.pmi else { continue }
        let bytes = Array((line + "\n").utf8)
        // An answer is far smaller than a socket's buffer; a rank that takes none is broken.
        if case .success(bytes.count) = Sockets.sendNow(socket.raw, bytes[...]) { continue }
        rank.closePMI()
      case .close(let number): ranks.first { $0.rank == number }?.closePMI()
      }
    }
  }

  /// Ends all ranks: stopped first, so that none lives to complain about the end of another.
  private func end() {
    for rank in ranks { rank.process.send(SIGSTOP) }
    for rank in ranks { rank.process.stop() }
  }
}
