import TuttiSystem

// What a launcher and its agent on a host say to each other: frames over the streams of a remote shell. All that is secret
// travels here, and nothing of it in a command line.

/// The version of the frames, and how an agent introduces itself: one line of text, which login shells may precede with
/// lines of their own.
enum AgentProtocol {
  static let version = 1
  static let greeting = "tutti-agent"
  /// The most that a login shell may say before the agent does.
  static let preambleBytesMax = 1 << 16
  /// How often each side says that it is there.
  static let heartbeat = 2 * Clock.second
  /// A side that has said nothing for so long is cut off, or stopped.
  static let silenceLimit = 15 * Clock.second
  /// How much may wait to be sent before no more output is read.
  static let queueBytesMax = 1 << 20
}

/// A program for an agent to start as a rank.
struct AgentRank: Equatable {
  var rank: Int
  var program: String
  var arguments: [String]
  var environment: [String: String]
  var output: RankDescription.Output
  var errors: RankDescription.Output
}

/// The part of a job that runs on one host.
struct AgentJob: Equatable {
  /// The folder of the launcher, which is the ranks' where there is one of that name.
  var folder: String
  /// Names the job in the keys of its connections.
  var name: String
  var rankCount: Int
  var secret: String
  var environment: [String: String]
  var ranks: [AgentRank]
}

/// What a launcher says. The end of its words is the end of the job.
enum LauncherMessage: Equatable {
  case job(AgentJob)
  case alive
  /// The user has stopped the launcher, and the ranks stop with it.
  case pause
  case resume
  /// Every rank has entered the barrier; what they have put by then.
  case barrierOut([String: String])
  /// Whoever reads the ranks' standard output (1) or error (2) has left.
  case readerLeft(UInt8)
}

/// What an agent says.
enum AgentReport: Equatable {
  case alive
  /// Why it cannot do what it was asked for.
  case refused(String)
  /// Something that the user should know.
  case notice(String)
  case output(rank: Int, stream: UInt8, bytes: [UInt8])
  case put(key: String, value: String)
  case barrierIn(rank: Int)
  /// A rank has ended, and its output has been sent.
  case ended(rank: Int, process: Int32, RankEnd)
}

// MARK: Bytes

extension WireEncoder {
  mutating func put(long text: String) {
    put(UInt32(clamping: text.utf8.count))
    put(raw: text.utf8)
  }

  mutating func put(_ texts: [String]) {
    put(UInt32(texts.count))
    for text in texts { put(long: text) }
  }

  mutating func put(_ table: [String: String]) {
    put(table.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
  }

  mutating func put(_ output: RankDescription.Output) {
    switch output {
    case .inherited: put(["inherited"])
    case .discarded: put(["discarded"])
    case .file(let path): put(["file", path])
    }
  }
}

extension WireDecoder {
  mutating func takeLongText(_ what: String) throws(MalformedMessage) -> String {
    let count = try takeCount(max: FrameReader.bytesMax, what)
    return String(decoding: try take(raw: count, what), as: UTF8.self)
  }

  mutating func takeTexts(_ what: String) throws(MalformedMessage) -> [String] {
    let count = try takeCount(max: FrameReader.bytesMax / 4, what)
    var texts: [String] = []
    for _ in 0..<count { texts.append(try takeLongText(what)) }
    return texts
  }

  mutating func takeTable(_ what: String) throws(MalformedMessage) -> [String: String] {
    let texts = try takeTexts(what)
    guard texts.count.isMultiple(of: 2) else { throw MalformedMessage(what) }
    var table: [String: String] = [:]
    for index in stride(from: 0, to: texts.count, by: 2) { table[texts[index]] = texts[index + 1] }
    return table
  }

  mutating func takeOutput() throws(MalformedMessage) -> RankDescription.Output {
    let words = try takeTexts("output")
    switch words.first {
    case "inherited": return .inherited
    case "discarded": return .discarded
    case "file" where words.count == 2: return .file(words[1])
    default: throw MalformedMessage("output")
    }
  }
}

extension LauncherMessage {
  var bytes: [UInt8] {
    var encoder = WireEncoder()
    switch self {
    case .job(let job):
      encoder.put(UInt8(1))
      for text in [job.folder, job.name, job.secret] { encoder.put(long: text) }
      encoder.put(UInt32(job.rankCount))
      encoder.put(job.environment)
      encoder.put(UInt32(job.ranks.count))
      for rank in job.ranks {
        encoder.put(UInt32(rank.rank))
        encoder.put([rank.program] + rank.arguments)
        encoder.put(rank.environment)
        encoder.put(rank.output)
        encoder.put(rank.errors)
      }
    case .alive: encoder.put(UInt8(2))
    case .pause: encoder.put(UInt8(3))
    case .resume: encoder.put(UInt8(4))
    case .barrierOut(let values):
      encoder.put(UInt8(5))
      encoder.put(values)
    case .readerLeft(let stream):
      encoder.put(UInt8(6))
      encoder.put(stream)
    }
    return encoder.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    switch try decoder.take(UInt8.self, "kind") {
    case 1: self = .job(try Self.job(&decoder))
    case 2: self = .alive
    case 3: self = .pause
    case 4: self = .resume
    case 5: self = .barrierOut(try decoder.takeTable("values"))
    case 6: self = .readerLeft(try decoder.take(UInt8.self, "stream"))
    default: throw MalformedMessage("kind")
    }
    try decoder.finish("a launcher's message")
  }

  private static func job(_ decoder: inout WireDecoder) throws(MalformedMessage) -> AgentJob {
    let folder = try decoder.takeLongText("folder")
    let name = try decoder.takeLongText("name")
    let secret = try decoder.takeLongText("secret")
    let rankCount = try decoder.takeCount(max: HostList.ranksMax, "number of ranks")
    let environment = try decoder.takeTable("environment")
    var ranks: [AgentRank] = []
    for _ in 0..<(try decoder.takeCount(max: LaunchHost.slotsMax, "ranks of this host")) {
      let rank = try decoder.takeCount(max: max(0, rankCount - 1), "rank")
      let words = try decoder.takeTexts("command")
      guard let program = words.first else { throw MalformedMessage("command") }
      ranks.append(
        AgentRank(
          rank: rank, program: program, arguments: Array(words.dropFirst()),
          environment: try decoder.takeTable("environment"),
          output: try decoder.takeOutput(), errors: try decoder.takeOutput()))
    }
    return AgentJob(
      folder: folder, name: name, rankCount: rankCount, secret: secret, environment: environment, ranks: ranks)
  }
}

extension AgentReport {
  var bytes: [UInt8] {
    var encoder = WireEncoder()
    switch self {
    case .alive: encoder.put(UInt8(1))
    case .refused(let text):
      encoder.put(UInt8(2))
      encoder.put(long: text)
    case .notice(let text):
      encoder.put(UInt8(3))
      encoder.put(long: text)
    case .output(let rank, let stream, let bytes):
      encoder.put(UInt8(4))
      encoder.put(UInt32(rank))
      encoder.put(stream)
      encoder.put(raw: bytes)
    case .put(let key, let value):
      encoder.put(UInt8(5))
      encoder.put([key, value])
    case .barrierIn(let rank):
      encoder.put(UInt8(6))
      encoder.put(UInt32(rank))
    case .ended(let rank, let process, let end):
      encoder.put(UInt8(7))
      encoder.put(UInt32(rank))
      encoder.put(process)
      let (kind, number): (UInt8, Int32) =
        switch end {
        case .exited(let status): (0, status)
        case .signalled(let signal): (1, signal)
        case .stopped: (2, 0)
        case .unknown: (3, 0)
        }
      encoder.put(kind)
      encoder.put(number)
    }
    return encoder.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    func rank() throws(MalformedMessage) -> Int { try decoder.takeCount(max: HostList.ranksMax - 1, "rank") }
    switch try decoder.take(UInt8.self, "kind") {
    case 1: self = .alive
    case 2: self = .refused(try decoder.takeLongText("reason"))
    case 3: self = .notice(try decoder.takeLongText("notice"))
    case 4:
      let rank = try rank()
      let stream = try decoder.take(UInt8.self, "stream")
      self = .output(rank: rank, stream: stream, bytes: try decoder.take(raw: decoder.remaining, "output"))
    case 5:
      let words = try decoder.takeTexts("value")
      guard words.count == 2 else { throw MalformedMessage("value") }
      self = .put(key: words[0], value: words[1])
    case 6: self = .barrierIn(rank: try rank())
    case 7:
      let (rank, process) = (try rank(), try decoder.take(Int32.self, "process"))
      let (kind, number) = (try decoder.take(UInt8.self, "end"), try decoder.take(Int32.self, "end"))
      switch kind {
      case 0: self = .ended(rank: rank, process: process, .exited(number))
      case 1: self = .ended(rank: rank, process: process, .signalled(number))
      case 2: self = .ended(rank: rank, process: process, .stopped)
      default: self = .ended(rank: rank, process: process, .unknown)
      }
    default: throw MalformedMessage("kind")
    }
    try decoder.finish("an agent's report")
  }
}
