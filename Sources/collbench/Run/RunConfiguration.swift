import Tutti
import TuttiSchedule

/// What one run measures: every flag, checked. All ranks hold equal ones.
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
  /// As asked for; results carry what was used.
  var transport: TransportChoice
  var algorithms: Algorithms
  /// Bytes of the message, or of all ranks' blocks, as asked for: one measurement each; `[0]` for a collective without data.
  var sizes: [Int]
  var type: DataType
  var operation: ReduceOp
  /// 0, and without meaning, where no rank plays a part of its own.
  var root: Int
  /// nil: by size.
  var iterations: Int?
  /// nil: by size.
  var warmup: Int?
  var inPlace: Bool
  /// Buffers are registered memory.
  var registered: Bool
  var check: Bool
  var format: Format
  /// nil: standard output.
  var output: String?
  /// Seconds one operation may take.
  var timeout: Double

  /// Whether results are printed one by one, as they come.
  var streams: Bool { format == .table && output == nil }

  var timeoutDuration: Duration { .nanoseconds(Int64(timeout * 1e9)) }

  /// What the measurements of one size ask of the library: nil is `auto`. `all` leaves out what is not defined for the rank count.
  func algorithmRequests(rankCount: Int) -> [String?] {
    switch algorithms {
    case .auto: return [nil]
    case .all:
      let known = subject.algorithms
      // Send and receive has no algorithms, and runs all the same.
      return known.isEmpty ? [nil] : known.filter { $0.isDefined(for: Grouping(rankCount: rankCount)) }.map(\.name)
    case .named(let name): return [name]
    }
  }

  /// Why the root cannot be that of so many ranks; nil when it can.
  func rootObstacle(rankCount: Int) -> String? {
    root < rankCount
      ? nil : "--root \(root): there is no such rank among \(rankCount). Roots go from 0 to \(rankCount - 1)."
  }

  /// Timed operations: about a second at the bandwidth of a loopback socket, within bounds.
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

  /// Operations before the timed ones: they open links, fault pages in and fill caches.
  func warmup(bytes: Int) -> Int { warmup ?? max(1, iterations(bytes: bytes) / 10) }

  /// Heap bytes of some ranks' buffers at the largest size: less where a rank gives or gets a block only, or nothing.
  func bufferBytes(ranks: Range<Int>, rankCount: Int) -> Double {
    let largest = sizes.max() ?? 0
    let count = subject.count(bytes: largest, elementBytes: type.size, rankCount: rankCount)
    return ranks.reduce(0) { sum, rank in
      let layout = BufferLayout(subject, count: count, rank: rank, rankCount: rankCount, root: root)
      return sum + layout.elements(inPlace: inPlace) * Double(type.size)
    }
  }

  /// Why some ranks on this machine cannot have their buffers; nil when they can. The kernel would kill one in the middle of the run.
  func memoryObstacle(ranks: Range<Int>, rankCount: Int) -> String? {
    let wanted = bufferBytes(ranks: ranks, rankCount: rankCount)
    guard let (available, limit) = SystemFacts.availableMemory(), wanted > Double(available) else { return nil }
    let amount = wanted < 1e18 ? "need \(ByteSize.approximate(Int(wanted)))" : "need more than any machine has"
    return """
      the buffers do not fit: at \(ByteSize.text(sizes.max() ?? 0)) bytes those of \(ranks.count) rank(s) \(amount), and \
      \(ByteSize.approximate(available)) of memory are available\(limit.map { " (\($0))" } ?? ""). Use smaller sizes\
      \(ranks.count > 1 ? ", fewer ranks" : "")\(inPlace || !subject.canRunInPlace ? "" : " or --in-place").
      """
  }
}
