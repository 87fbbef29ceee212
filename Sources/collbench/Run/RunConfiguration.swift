import Tutti
import TuttiSchedule
import TuttiTransport

/// What one run measures: every flag, checked. All ranks hold equal configurations.
struct RunConfiguration: Sendable {
  enum Format: String, Sendable { case table, json, csv }

  enum Algorithms: Equatable, Sendable {
    /// The library's own choice.
    case auto
    /// Each algorithm the library has for the collective, one after the other.
    case all
    case named(String)

    var name: String {
      switch self {
      case .auto: "auto"
      case .all: "all"
      case .named(let name): name
      }
    }
  }

  var subject: Subject
  /// The transport that was asked for; results carry the one that was used.
  var transport: TransportChoice
  var algorithms: Algorithms
  /// The bytes of the message, or of all ranks' blocks, as asked for: one measurement for each; `[0]` for a collective
  /// without data.
  var sizes: [Int]
  /// The types and operations to measure one after the other, never none.
  var elements: [Elements]
  /// The root; 0, and without meaning, where no rank has a role of its own.
  var root: Int
  /// nil: by size.
  var iterations: Int?
  /// How many seconds each measurement is to take, instead of a number of iterations; nil: as many as ``iterations`` says.
  var duration: Double?
  /// nil: by size.
  var warmup: Int?
  /// Whether iterations follow one another without a barrier between them.
  var backToBack = false
  var inPlace: Bool
  /// Whether buffers are registered memory.
  var registered: Bool
  /// Whether buffers begin at odd addresses.
  var unaligned = false
  var check: Bool
  var format: Format
  /// The file for the results; nil for standard output.
  var output: String?
  /// The network; nil for what the ranks know of one another.
  var topology: JobTopology?
  /// What results may depend on; nil for what the environment says.
  var bits: ResultBits?
  /// Whether connections over TCP are encrypted; nil for what the environment says.
  var tls: Bool?
  /// The seconds that one operation may take.
  var timeout: Double

  /// Whether results are printed one by one, as they come.
  var streams: Bool { format == .table && output == nil }

  /// The type that was asked for, or `all`.
  var typeName: String { common(elements.map(\.type.name)) }
  /// The operation that was asked for, or `all`.
  var operationName: String { common(elements.map(\.operation.name)) }

  private func common(_ names: [String]) -> String { Set(names).count == 1 ? names[0] : "all" }

  var timeoutDuration: Duration { .nanoseconds(Int64(timeout * 1e9)) }

  /// The algorithms that the measurements of one size ask for; nil is `auto`. `all` leaves out those that are not defined
  /// for the ranks, or refused on them.
  func algorithmRequests(_ communicator: Communicator, _ elements: Elements) -> [String?] {
    switch algorithms {
    case .auto: return [nil]
    case .all:
      // Send and receive has no algorithms, but runs all the same.
      guard case .collective(let collective) = subject else { return [nil] }
      return communicator.algorithms(for: collective).filter { name in
        // In canonical mode the others are refused.
        guard communicator.bits == .canonical,
          let fold = communicator.foldClass(of: name, collective, elements.operation, elements.type)
        else { return true }
        return fold == "canonical" || fold == "exact"
      }
    case .named(let name): return [name]
    }
  }

  /// Why the root does not exist among `rankCount` ranks; nil when it does.
  func rootObstacle(rankCount: Int) -> String? {
    root < rankCount
      ? nil : "--root \(root): there is no such rank among \(rankCount). Roots go from 0 to \(rankCount - 1)."
  }

  /// The number of timed operations: about a second at the bandwidth of a loopback socket, within bounds.
  func iterations(bytes: Int) -> Int {
    if let iterations { return iterations }
    switch bytes {
    case ..<(64 << 10): return 1000
    case ..<(1 << 20): return 200
    case ..<(16 << 20): return 40
    case ..<(256 << 20): return 10
    default: return 3
    }
  }

  /// The number of operations before the timed ones, which open links, fault pages in and fill caches.
  func warmup(bytes: Int) -> Int { warmup ?? max(1, iterations(bytes: bytes) / 10) }

  /// How many operations more the library needs to find out how large segments travel best, each of which takes so many
  /// nanoseconds; no more than there is time for.
  func settling(bytes: Int, nanoseconds: Double) -> Int {
    if warmup != nil || bytes < InPlace.segmentBytesMin { return 0 }
    return max(0, min(Self.settlingOperations - warmup(bytes: bytes), Int(Self.settlingNanoseconds / max(1, nanoseconds))))
  }

  private static let settlingOperations = 32
  private static let settlingNanoseconds = 300e6

  /// The heap bytes of some ranks' buffers at the largest size. They are fewer where a rank gives or gets only a block, or
  /// nothing.
  func bufferBytes(ranks: Range<Int>, rankCount: Int) -> Double {
    let largest = sizes.max() ?? 0
    return elements.map { elements in
      let elementBytes = elements.type.size
      let count = subject.count(bytes: largest, elementBytes: elementBytes, rankCount: rankCount)
      return ranks.reduce(0) { sum, rank in
        let layout = BufferLayout(subject, count: count, rank: rank, rankCount: rankCount, root: root)
        return sum + layout.elements(inPlace: inPlace) * Double(elementBytes)
      }
    }.max() ?? 0
  }

  /// Why some ranks on this machine cannot have their buffers; nil when they can. The kernel would kill one in the middle of
  /// the run.
  func memoryObstacle(ranks: Range<Int>, rankCount: Int) -> String? {
    let wanted = bufferBytes(ranks: ranks, rankCount: rankCount)
    guard let (available, limit) = SystemFacts.availableMemory(), wanted > Double(available) else { return nil }
    let amount = wanted < 1e18 ? "need \(ByteSize.approximate(Int(wanted)))" : "need more than any machine has"
    return """
      the buffers do not fit: at \(ByteSize.text(sizes.max() ?? 0)) bytes those of \(counted(ranks.count, "rank")) \(amount), and \
      \(ByteSize.approximate(available)) of memory are available\(limit.map { " (\($0))" } ?? ""). Use smaller sizes\
      \(ranks.count > 1 ? ", fewer ranks" : "")\(inPlace || !subject.canRunInPlace ? "" : " or --in-place").
      """
  }
}
