import CTuttiKernels
import Glibc
import MeasuringPrograms

/// Measures every combine kernel on data in memory against memcpy, in turns: two sources into a destination, streaming
/// stores, one core. A combine moves three bytes for each byte of the result, a copy two: ratios are of time for the same
/// bytes read and written, so 1.10 is 10% more than memcpy needs.
///
/// Output: a table with a row for each type and a column for each operation, `GB/s ratio` in each cell.
@main
enum Kernels {
  static let usage = """
    usage: kernels [--variant NAME] [--bytes N] [--rounds N] [--gate RATIO]
      --variant NAME  baseline, avx2, avx512; the widest this CPU runs unless given
      --bytes N       of each array, a multiple of 64; 67108864 unless given
      --rounds N      the best of so many medians of 5; 5 unless given
      --gate RATIO    exit with 1 when a kernel takes longer than that times memcpy

    """

  static let types: [(name: String, number: Int)] = [
    ("int8", TUTTI_INT8), ("uint8", TUTTI_UINT8), ("int32", TUTTI_INT32), ("uint32", TUTTI_UINT32), ("int64", TUTTI_INT64),
    ("uint64", TUTTI_UINT64), ("float16", TUTTI_FLOAT16), ("bfloat16", TUTTI_BFLOAT16), ("float32", TUTTI_FLOAT32),
    ("float64", TUTTI_FLOAT64),
  ]
  /// The last column is not a number of tutti_combine: it is tutti_average, divided by 3.
  static let operations: [(name: String, number: Int?)] = [
    ("sum", TUTTI_SUM), ("product", TUTTI_PRODUCT), ("min", TUTTI_MIN), ("max", TUTTI_MAX), ("and", TUTTI_BITWISE_AND),
    ("or", TUTTI_BITWISE_OR), ("xor", TUTTI_BITWISE_XOR), ("average", nil),
  ]

  static func main() { runProgram("kernels", usage: usage) { run(try Options($0)) } }

  /// - Returns: The status to end with.
  private static func run(_ options: Options) -> Int32 {
    let arrays = Arrays(bytes: options.bytes)
    var missed = 0

    let copy = Comparison(arrays, rounds: options.rounds, passes: 2) {
      tutti_copy_variant(options.variant, arrays.destination, arrays.first, arrays.bytes)
    }
    print(
      "\(String(cString: tutti_variant_name(options.variant))), \(arrays.bytes) bytes an array: GB/s read and written, time over memcpy's"
    )
    print("memcpy \(copy.memcpySpeed), streaming copy \(copy.cell)")
    print(row("", operations.map(\.name)))
    for type in types {
      let cells = operations.map { operation -> String in
        guard let run = arrays.kernel(options.variant, type.number, operation.number) else { return "" }
        let comparison = Comparison(arrays, rounds: options.rounds, passes: 3, run)
        if let gate = options.gate, comparison.ratio > gate { missed += 1 }
        return comparison.cell
      }
      print(row(type.name, cells))
    }
    if let gate = options.gate { print("\(missed) kernels over \(gate)") }
    return missed > 0 ? 1 : 0
  }

  private static func row(_ name: String, _ cells: [String]) -> String {
    ([name] + cells).map { $0 + String(repeating: " ", count: max(1, 12 - $0.utf8.count)) }.joined()
  }
}

/// One kernel beside memcpy.
struct Comparison {
  /// Seconds for one pass over one array.
  private let memcpyPass: Double
  private let pass: Double

  /// - Parameter passes: How often `body` reads or writes an array.
  init(_ arrays: Arrays, rounds: Int, passes: Int, _ body: () -> Void) {
    bytes = arrays.bytes
    var best = (memcpy: Double.infinity, body: Double.infinity)
    for _ in 0..<rounds {
      best.memcpy = min(best.memcpy, Self.median { memcpy(arrays.destination, arrays.first, arrays.bytes) })
      best.body = min(best.body, Self.median(of: body))
    }
    memcpyPass = best.memcpy / 2
    pass = best.body / Double(passes)
  }

  private let bytes: Int
  var ratio: Double { pass / memcpyPass }
  var memcpySpeed: String { Self.tenths(Double(bytes) / memcpyPass / 1e9) }
  var cell: String { Self.tenths(Double(bytes) / pass / 1e9) + " " + Self.hundredths(ratio) }

  private static func median(of body: () -> Void) -> Double {
    (0..<5).map { _ in
      let start = seconds()
      body()
      return seconds() - start
    }.sorted()[2]
  }

  private static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }

  private static func hundredths(_ value: Double) -> String {
    let scaled = Int((value * 100).rounded())
    return "\(scaled / 100)." + (scaled % 100 < 10 ? "0" : "") + "\(scaled % 100)"
  }
}

/// Two sources and a destination, page-aligned, every page written. Owned by this object, which lives as long as the
/// program.
final class Arrays {
  let bytes: Int
  let destination: UnsafeMutableRawPointer
  let first: UnsafeMutableRawPointer
  let second: UnsafeMutableRawPointer
  /// The sources that kernels read: it points to `first` and `second`.
  private let sources: UnsafeMutablePointer<UnsafeRawPointer?>

  init(bytes: Int) {
    self.bytes = bytes
    let memory = (0..<3).map { _ in UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096) }
    (destination, first, second) = (memory[0], memory[1], memory[2])
    for array in memory {
      // Read as any floating-point type these are ordinary numbers, and so are their sums and products: denormals are
      // slow, and not what is measured.
      let halves = array.bindMemory(to: UInt16.self, capacity: bytes / 2)
      for index in 0..<bytes / 2 { halves[index] = 0x3c00 + UInt16(truncatingIfNeeded: index &* 193) % 0x400 }
    }
    sources = .allocate(capacity: 2)
    sources.initialize(to: UnsafeRawPointer(first))
    (sources + 1).initialize(to: UnsafeRawPointer(second))
  }

  deinit {
    for array in [destination, first, second] { array.deallocate() }
    sources.deallocate()
  }

  /// A call of a kernel on the arrays, or nil where there is none. Operation nil is the average.
  func kernel(_ variant: Int32, _ type: Int, _ operation: Int?) -> (() -> Void)? {
    let elementBytes = [1, 1, 4, 4, 8, 8, 2, 2, 4, 8][type]
    let count = bytes / elementBytes
    if let operation {
      guard let kernel = tutti_combine_variant(variant, Int32(type), Int32(operation)) else { return nil }
      return { kernel(self.destination, nil, self.sources, 2, count, 1) }
    }
    guard let kernel = tutti_average_variant(variant, Int32(type)) else { return nil }
    return { kernel(self.destination, nil, self.sources, 2, count, 1, 3, nil) }
  }
}

struct Options {
  let variant: Int32
  var bytes = 64 << 20
  var rounds = 5
  var gate: Double?

  init(_ arguments: [String]) throws {
    let supported = (0..<tutti_variant_count()).filter { tutti_variant_supported($0) != 0 }
    var variant = supported.last
    var index = 0
    while index + 1 < arguments.count {
      let value = arguments[index + 1]
      switch arguments[index] {
      case "--variant": variant = supported.first { String(cString: tutti_variant_name($0)) == value }
      case "--bytes": bytes = Int(value) ?? 0
      case "--rounds": rounds = Int(value) ?? 0
      case "--gate":
        gate = Double(value)
        if gate == nil { bytes = 0 }
      default: bytes = 0
      }
      index += 2
    }
    guard index == arguments.count, let variant, bytes > 0, bytes % 64 == 0, bytes <= 1 << 32, rounds > 0 else {
      throw Failure("the arguments make no sense", isUsage: true)
    }
    self.variant = variant
  }
}
