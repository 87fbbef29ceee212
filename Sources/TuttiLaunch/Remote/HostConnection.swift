import CTuttiLinux
import Glibc
import TuttiSystem

/// The launcher's connection to the agent on one host: the remote shell as a child, and what goes over its streams.
///
/// One thread's. The child ends with this object.
final class HostConnection {
  /// How far it has come.
  enum State {
    /// The remote shell runs, and the agent has not introduced itself.
    case connecting
    /// The agent waits for its part of the job.
    case ready
    case running
    /// It has ended, and is good for nothing more.
    case ended
  }

  /// What has come from a host.
  enum Event {
    case report(AgentReport)
    /// What the remote shell, or the agent, has to say to the user.
    case text(String)
    /// The connection has failed, and why: a clause that follows the host.
    case failure(String)
  }

  private static let textBytesMax = 4096

  let host: LaunchHost
  private let access: HostAccess
  private let command: [String]
  private let child: ChildProcess
  private let socket: PassedDescriptor
  private let errors: PassedDescriptor
  private var isErrorOpen = true
  private var reader = FrameReader()
  private var queue = FrameQueue()
  private var preamble: [UInt8] = []
  /// What the remote shell has said before the agent did.
  private var complaint: [UInt8] = []
  private(set) var state = State.connecting
  private var lastHeard = monotonicNanoseconds()

  /// - Throws: ``LaunchError`` when the remote shell cannot be started.
  init(_ host: LaunchHost, _ access: HostAccess, environment: [String: String]) throws(LaunchError) {
    (self.host, self.access) = (host, access)
    command = access.command(for: host)
    var program = ChildProgram(command[0], Array(command.dropFirst()), environment: environment)
    let (ours, theirs) = try AgentProcess.socketPair()
    var pipe: [Int32] = [-1, -1]
    guard tutti_pipe(&pipe) == 0 else { throw LaunchError(.resources, "pipe: \(errorText(errno)).") }
    errors = PassedDescriptor(OwnedDescriptor(pipe[0]))
    let errorEnd = OwnedDescriptor(pipe[1])
    program.descriptors = [STDIN_FILENO: theirs.raw, STDOUT_FILENO: theirs.raw, STDERR_FILENO: errorEnd.raw]
    socket = ours
    child = try ChildProcess(program)
    _ = fcntl(errors.raw, F_SETFL, O_NONBLOCK)
    withExtendedLifetime(theirs) {}
  }

  /// What to wait for, beside the time.
  func entries(readsOutput: Bool) -> [pollfd] {
    if state == .ended { return [] }
    var events = readsOutput ? Int16(POLLIN) : 0
    if !queue.isEmpty { events |= Int16(POLLOUT) }
    let own = pollfd(fd: socket.raw, events: events, revents: 0)
    return isErrorOpen ? [own, pollfd(fd: errors.raw, events: Int16(POLLIN), revents: 0)] : [own]
  }

  func send(_ message: LauncherMessage) {
    if state == .ended { return }
    if case .job = message { state = .running }
    queue.add(message.bytes)
  }

  /// Says no more, so that the agent ends its ranks and itself.
  func finish() {
    if state == .ended { return }
    _ = queue.send(to: socket.raw)
    shutdown(socket.raw, Int32(SHUT_WR))
  }

  /// Whether the remote shell has ended.
  var hasEnded: Bool { child.end(reaps: false) != nil }

  func kill() { child.stop() }

  /// Sends what there is, and takes what has come.
  ///
  /// - Parameter readsOutput: Whether there is room for what ranks print.
  func events(readsOutput: Bool) -> [Event] {
    if state == .ended { return [] }
    var events = takeErrors()
    let isOpen = queue.send(to: socket.raw)
    if readsOutput {
      events += takeFrames()
    } else {
      // How long a host is silent cannot be known while nobody listens.
      lastHeard = monotonicNanoseconds()
    }
    if state != .ended, !isOpen, !events.contains(where: \.isFailure) { events.append(failure(endText())) }
    if state == .ready || state == .running, monotonicNanoseconds() > lastHeard + AgentProtocol.silenceLimit {
      events.append(
        failure(
          "has not been heard for \(AgentProtocol.silenceLimit / Clock.second) s: it is stopped, or the network is cut"))
    }
    return events
  }

  /// Gives up a host that has not answered in time.
  func giveUp(after limit: Duration) -> Event {
    failure(
      "has not answered within \(secondsText(limit / .seconds(1))) s"
        + (complaintText.isEmpty ? "" : "; \(commandText) says: \(complaintText)"))
  }

  private func failure(_ why: String) -> Event {
    state = .ended
    return .failure(why)
  }

  // MARK: What comes

  private func takeErrors() -> [Event] {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: Self.textBytesMax)
    while isErrorOpen {
      let count = read(errors.raw, &buffer, buffer.count)
      if count > 0 {
        text += buffer[..<count]
      } else {
        isErrorOpen = count < 0 && (errno == EAGAIN || errno == EINTR)
        break
      }
    }
    if text.isEmpty { return [] }
    if state == .connecting {
      complaint = Array((complaint + text).suffix(Self.textBytesMax))
      return []
    }
    return [.text(String(decoding: text, as: UTF8.self).trimmed)]
  }

  private func takeFrames() -> [Event] {
    var events: [Event] = []
    for _ in 0..<16 {
      switch Sockets.receiveNow(socket.raw, max: 1 << 16) {
      case .nothing: return events
      case .end:
        events += takeErrors()
        return events + [failure(endText())]
      case .bytes(let bytes):
        lastHeard = monotonicNanoseconds()
        if state == .connecting {
          preamble += bytes
          if let failure = greet() { return events + [failure] }
        } else {
          reader.add(bytes)
        }
      }
      do throws(MalformedMessage) {
        while let frame = try reader.next() { events.append(.report(try AgentReport(frame))) }
      } catch { return events + [failure("sends something that is not an agent's report (\(error.what))")] }
    }
    return events
  }

  /// Looks for the agent's introduction in what has come so far, after what a login shell may print.
  private func greet() -> Event? {
    while let end = preamble.firstIndex(of: 0x0A) {
      let line = String(decoding: preamble[..<end], as: UTF8.self)
      preamble.removeFirst(end + 1)
      let words = line.split(separator: " ", maxSplits: 2)
      guard words.first == AgentProtocol.greeting[...], words.count == 3 else { continue }
      guard words[1] == "\(AgentProtocol.version)", words[2] == access.agent.version[...] else {
        return failure(
          "runs version \(words[2]) of \(access.agent.program) (agent protocol \(words[1])), and this is version "
            + "\(access.agent.version) (\(AgentProtocol.version)): install the same one on every host")
      }
      state = .ready
      reader.add(preamble)
      preamble = []
      return nil
    }
    guard preamble.count > AgentProtocol.preambleBytesMax else { return nil }
    return failure("prints something other than an agent: \(shown(Substring(String(decoding: preamble, as: UTF8.self))))")
  }

  // MARK: Texts

  private var commandText: String { command.first.map { String($0.split(separator: "/").last ?? "") } ?? "" }

  /// The last lines of what the remote shell has said.
  private var complaintText: String {
    let lines = String(decoding: complaint, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(3)
    return lines.map { String($0).trimmed }.joined(separator: " / ")
  }

  /// Why the connection has ended.
  private func endText() -> String {
    let limit = monotonicNanoseconds() + 2 * Clock.second
    _ = Clock.wait(until: limit) { child.end(reaps: false) != nil }
    let end = child.end(reaps: false)
    let how =
      switch end {
      case .exited(let status): "\(commandText) ended with status \(status)"
      case .signalled(let signal): "\(commandText) was ended by signal \(signal)"
      case .stopped, .unknown, nil: "\(commandText) closed it"
      }
    guard state == .connecting else { return "is lost: its connection ended (\(how))" }
    _ = takeErrors()
    var said = complaintText.isEmpty ? "" : ": \(complaintText)"
    if said.last == "." { said.removeLast() }
    return "cannot run ranks: \(how) before the agent \(access.agent.program) answered\(said)\(advice(said, end))"
  }

  private func advice(_ said: String, _ end: RankEnd?) -> String {
    if said.contains("Host key verification failed") {
      return ". Accept its key once: ssh \(host.destination), or ssh-keyscan \(host.name) >> ~/.ssh/known_hosts"
    }
    if said.contains("Permission denied (") { return ". Hosts must let you in without a question, by a key: ssh-copy-id" }
    // As shells say that a program is not there, or cannot be run.
    return end == .exited(127) || end == .exited(126) ? ". Install it under the same path on every host" : ""
  }
}

extension HostConnection.Event {
  fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}

extension String {
  /// Without blanks and ends of lines at its end.
  fileprivate var trimmed: String {
    var text = self[...]
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
