import Tutti
import TuttiAlgorithms
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

  var collective: Collective
  /// As asked for; results carry what was used.
  var transport: TransportChoice
  var algorithms: Algorithms
  /// Bytes of each rank's buffer, one measurement each; `[0]` for a collective without data.
  var sizes: [Int]
  var type: DataType
  var operation: ReduceOp
  /// nil: by size.
  var iterations: Int?
  /// nil: by size.
  var warmup: Int?
  var inPlace: Bool
  var check: Bool
  var format: Format
  /// nil: standard output.
  var output: String?
  /// Seconds one operation may take.
  var timeout: Double

  var carriesData: Bool { collective != .barrier }

  var timeoutDuration: Duration { .nanoseconds(Int64(timeout * 1e9)) }

  /// What the measurements of one size ask of the library: nil is `auto`. `all` leaves out what is not defined for the rank count.
  func algorithmRequests(rankCount: Int) -> [String?] {
    switch algorithms {
    case .auto: [nil]
    case .all: AlgorithmRegistry.algorithms(for: collective).filter { $0.isDefined(rankCount: rankCount) }.map(\.name)
    case .named(let name): [name]
    }
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

  /// Heap bytes of one rank's buffers.
  var bufferBytesPerRank: Int {
    let largest = sizes.max() ?? 0
    let (both, overflow) = largest.multipliedReportingOverflow(by: 2)
    return inPlace ? largest : overflow ? Int.max : both
  }
}
