import CTuttiLinux
import Glibc
import TuttiSystem

/// Speaks PMI-1 with the launcher, over the socket that `PMI_FD` names: lines of words `key=value`, a question and its
/// answer at a time (Balaji et al., "PMI: A Scalable Parallel Process-Management Interface for Extreme-Scale Systems",
/// EuroMPI 2010). MPICH's and Intel MPI's launchers and Slurm's plugin pmi2 answer.
///
/// One thread's at a time. Every wait has a limit; after an error the connection is of no more use. MPI of this process may
/// speak over it too, before and after.
final class PMIClient: LauncherClient {
  private let socket: OwnedDescriptor
  private let clock: MonotonicClock
  private var received: [UInt8] = []
  /// The job's key-value space.
  private(set) var space = ""

  /// Longer than any answer: values have 4,096 bytes at most.
  static let lineBytesMax = 16_384

  /// - Parameter descriptor: Stays the process's: MPI may be about to use it, or has closed it when this client ends. The
  ///   client has a copy.
  /// - Throws: `.rendezvous` when it is no socket; `.resources` when no more can be opened.
  init(descriptor: Int32, clock: MonotonicClock) throws(FailureReport) {
    var kind: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
      throw FailureReport(
        .rendezvous, "PMI_FD=\(descriptor) is not a socket of the launcher",
        advice: "Start the program directly by the launcher, not by one that closes descriptors; or set TUTTI_RENDEZVOUS",
        systemError: errno)
    }
    socket = OwnedDescriptor(
      try systemCall("fcntl", advice: "Raise the limit of open files (ulimit -n)") { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) })
    tutti_register_descriptor(socket.raw)
    // Programs that this one starts are no ranks.
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    self.clock = clock
  }

  /// The space of a job whose launcher speaks PMI over this descriptor.
  ///
  /// The launcher knows one connection for each process, and none after its end: a process meets over PMI once.
  package static func space(
    descriptor: Int32, claims: LauncherClaims = .process, clock: MonotonicClock = .system
  ) -> LauncherSpace {
    LauncherSpace("PMI", clock: clock) { deadline throws(FailureReport) in
      try claims.claim("PMI_FD=\(descriptor)", over: "PMI")
      let client = try PMIClient(descriptor: descriptor, clock: clock)
      try client.begin(deadline: deadline)
      return client
    }
  }

  /// An answer that did not come may come yet, in place of the next one.
  var outlivesErrors: Bool { false }

  /// Introduces this process, and learns the name of the job's space.
  func begin(deadline: UInt64) throws(FailureReport) {
    _ = try ask("init", [("pmi_version", "1"), ("pmi_subversion", "1")], answer: "response_to_init", deadline)
    space = try ask("get_my_kvsname", [], answer: "my_kvsname", deadline)["kvsname"] ?? ""
    guard !space.isEmpty else { throw nonsense("its key-value space has no name") }
  }

  func put(_ value: String, for key: String, deadline: UInt64) throws(FailureReport) {
    _ = try ask("put", [("kvsname", space), ("key", key), ("value", value)], answer: "put_result", deadline)
  }

  /// nil when nothing is stored under the key.
  func get(_ key: String, deadline: UInt64) throws(FailureReport) -> String? {
    let answer = try ask("get", [("kvsname", space), ("key", key)], answer: "get_result", deadline, mayFail: true)
    return (answer["rc"] ?? "0") == "0" ? answer["value"] : nil
  }

  /// Returns when every rank of the job has called it.
  func barrier(deadline: UInt64) throws(FailureReport) {
    _ = try ask("barrier_in", [], answer: "barrier_out", deadline)
  }

  func finalize(deadline: UInt64) throws(FailureReport) {
    _ = try ask("finalize", [], answer: "finalize_ack", deadline)
  }

  private func ask(
    _ command: String, _ words: [(key: String, value: String)], answer expected: String, _ deadline: UInt64,
    mayFail: Bool = false
  ) throws(FailureReport) -> [String: String] {
    // In this order: Slurm takes the words of init in no other.
    let line = "cmd=\(command)" + words.map { " \($0.key)=\($0.value)" }.joined() + "\n"
    try send(line, deadline)
    let text = try receiveLine(deadline, after: command)
    let answer = Self.words(text)
    guard answer["cmd"] == expected else { throw nonsense("to \(command) it answers \"\(text.prefix(80))\"") }
    if !mayFail, let code = answer["rc"], code != "0" {
      throw FailureReport(
        .rendezvous, "the launcher refuses PMI's \(command) (rc=\(code) \(answer["msg"] ?? ""))",
        advice: "Look at the launcher's own output, or set TUTTI_RENDEZVOUS and TUTTI_SECRET to do without PMI")
    }
    return answer
  }

  /// The words of a line. One without a sign of equality says nothing.
  static func words(_ line: String) -> [String: String] {
    var words: [String: String] = [:]
    for word in line.split(separator: " ") {
      guard let sign = word.firstIndex(of: "=") else { continue }
      words[String(word[..<sign])] = String(word[word.index(after: sign)...])
    }
    return words
  }

  private func send(_ line: String, _ deadline: UInt64) throws(FailureReport) {
    var rest = Array(line.utf8)[...]
    while !rest.isEmpty {
      guard Sockets.wait(socket.raw, for: POLLOUT, until: deadline, clock: clock) else { throw silence("take a line") }
      switch Sockets.sendNow(socket.raw, rest) {
      case .success(let count): rest = rest.dropFirst(count)
      case .failure(let error): throw gone(error.code)
      }
    }
  }

  private func receiveLine(_ deadline: UInt64, after command: String) throws(FailureReport) -> String {
    while true {
      if let end = received.firstIndex(of: 0x0A) {
        let line = String(decoding: received[..<end], as: UTF8.self)
        received.removeFirst(end + 1)
        return line
      }
      guard received.count < Self.lineBytesMax else {
        throw nonsense("it sends \(received.count) bytes without a line's end")
      }
      guard Sockets.wait(socket.raw, for: POLLIN, until: deadline, clock: clock) else {
        throw silence(command == "barrier_in" ? "end the barrier, for which all ranks must come," : "answer \(command)")
      }
      switch Sockets.receiveNow(socket.raw, max: 4096) {
      case .bytes(let bytes): received += bytes
      case .nothing: break
      case .end(let code): throw gone(code)
      }
    }
  }

  private func nonsense(_ what: String) -> FailureReport {
    FailureReport(
      .rendezvous, "what answers at PMI_FD does not speak PMI-1: \(what)",
      advice: "Set TUTTI_RENDEZVOUS and TUTTI_SECRET to do without PMI")
  }

  private func silence(_ what: String) -> FailureReport {
    FailureReport(
      .rendezvous, "the launcher did not \(what) in time (PMI)",
      advice: "Look for ranks that failed before they joined; raise TUTTI_TIMEOUT if some start late")
  }

  private func gone(_ code: Int32) -> FailureReport {
    FailureReport(
      .rendezvous, "the launcher closed its PMI connection", advice: "It has ended: look at its own output",
      systemError: code)
  }
}
