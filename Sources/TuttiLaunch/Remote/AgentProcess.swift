import CTuttiLinux
import Glibc
import TuttiSystem

/// A rank that an agent has started, with the agent's ends of its streams and of its PMI.
final class AgentProcess {
  /// The rank's number of its end of PMI.
  private static let pmiNumber: Int32 = 3
  /// How long output may still come after a rank has ended, from what it has left behind.
  private static let remainder = 200 * Clock.millisecond

  let rank: Int
  let process: ChildProcess
  /// Becomes readable when it ends; nil where the kernel offers none.
  let watch: PassedDescriptor?
  private(set) var pmi: PassedDescriptor?
  /// Standard output and standard error; nil for one that goes elsewhere, or has ended.
  private(set) var streams: [PassedDescriptor?] = [nil, nil]
  private var endTime: UInt64?
  private var isReported = false

  /// - Throws: ``LaunchError`` when the program or its output cannot be opened.
  init(_ description: AgentRank, environment: [String: String]) throws(LaunchError) {
    rank = description.rank
    var variables = environment.merging(description.environment) { $1 }
    variables["PMI_RANK"] = "\(rank)"
    variables["PMI_FD"] = "\(Self.pmiNumber)"
    var program = ChildProgram(description.program, description.arguments, environment: variables)
    // The rank's ends are closed here when it has them.
    var theirs: [PassedDescriptor] = []
    for (stream, output) in [description.output, description.errors].enumerated() {
      let end: PassedDescriptor
      switch output {
      case .inherited:
        let (ours, rank) = try Self.pipe()
        streams[stream] = ours
        end = rank
      case .discarded: end = try Self.open("/dev/null")
      case .file(let path): end = try Self.open(path)
      }
      theirs.append(end)
      program.descriptors[Int32(stream) + 1] = end.raw
    }
    let (ours, end) = try Self.socketPair()
    (pmi, program.descriptors[Self.pmiNumber]) = (ours, end.raw)
    process = try withExtendedLifetime((theirs, end)) { () throws(LaunchError) in try ChildProcess(program) }
    let watch = tutti_pidfd_open(process.pid)
    self.watch = watch < 0 ? nil : PassedDescriptor(OwnedDescriptor(watch))
  }

  /// Takes what a stream has; nil when it has ended.
  func read(_ stream: Int) -> [UInt8]? {
    guard let descriptor = streams[stream] else { return nil }
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, filled in
      repeat { count = Glibc.read(descriptor.raw, buffer.baseAddress, buffer.count) } while count < 0 && errno == EINTR
      filled = max(count, 0)
    }
    if count > 0 { return bytes }
    streams[stream] = nil
    return nil
  }

  /// Whether its end is still to come, so that its watch tells something.
  var isWatched: Bool { endTime == nil }

  func closeStream(_ stream: Int) { streams[stream] = nil }

  func closePMI() { pmi = nil }

  /// How it has ended, once: when it has, and its output has all been taken.
  func newEnd() -> RankEnd? {
    guard !isReported, let end = process.end(reaps: false) else { return nil }
    let since = endTime ?? monotonicNanoseconds()
    endTime = since
    guard streams.allSatisfy({ $0 == nil }) || monotonicNanoseconds() >= since + Self.remainder else { return nil }
    isReported = true
    return end
  }

  // MARK: Descriptors

  private static func pipe() throws(LaunchError) -> (read: PassedDescriptor, write: PassedDescriptor) {
    var ends: [Int32] = [-1, -1]
    guard tutti_pipe(&ends) == 0 else { throw LaunchError(.resources, "pipe: \(errorText(errno)).") }
    return (PassedDescriptor(OwnedDescriptor(ends[0])), PassedDescriptor(OwnedDescriptor(ends[1])))
  }

  private static func open(_ path: String) throws(LaunchError) -> PassedDescriptor {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw LaunchError(.output, "its output cannot go to \(path): \(errorText(errno)).") }
    return PassedDescriptor(OwnedDescriptor(descriptor))
  }

  /// Two connected sockets, of which the first does not block.
  static func socketPair() throws(LaunchError) -> (ours: PassedDescriptor, theirs: PassedDescriptor) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw LaunchError(.resources, "socketpair: \(errorText(errno)).")
    }
    for end in ends { tutti_register_descriptor(end) }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    return (PassedDescriptor(OwnedDescriptor(ends[0])), PassedDescriptor(OwnedDescriptor(ends[1])))
  }
}
