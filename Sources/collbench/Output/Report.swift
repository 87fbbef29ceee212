import Tutti
import TuttiLaunch
import TuttiSchedule

/// Turns measurements into the chosen format. Only rank 0 has one.
///
/// A table on standard output grows line by line; JSON, CSV and files appear whole at the end, so that a run that fails
/// leaves no half document behind.
struct Report {
  private let configuration: RunConfiguration
  private let rankCount: Int
  private let topologyHash: String
  private let bits: ResultBits
  private let isEncrypted: Bool
  private let tuning: TuningInfo
  private let system = SystemFacts.current()
  private let file: OutputFile?
  private var measurements: [Measurement] = []
  /// Why printed results have not arrived; nil while all have. Nothing is printed afterwards.
  private var failure: StandardStream.Failure?

  init(
    _ configuration: RunConfiguration, rankCount: Int, topologyHash: String, bits: ResultBits, isEncrypted: Bool,
    tuning: TuningInfo
  ) throws {
    self.isEncrypted = isEncrypted
    self.tuning = tuning
    self.configuration = configuration
    self.rankCount = rankCount
    self.topologyHash = topologyHash
    self.bits = bits
    file = try configuration.output.map { try OutputFile(path: $0) }
    if configuration.streams { emit(table.header) }
  }

  /// Whether results still arrive where they are printed. Otherwise it is no use to measure more.
  var arrives: Bool { failure == nil }

  private mutating func emit(_ text: String) {
    if failure != nil { return }
    do throws(StandardStream.Failure) { try StandardStream.output.write(text) } catch { failure = error }
  }

  private var table: TableFormat {
    TableFormat(configuration: configuration, rankCount: rankCount, isEncrypted: isEncrypted, system: system)
  }

  mutating func add(_ measurement: Measurement) {
    measurements.append(measurement)
    if configuration.streams { emit(table.line(measurement, highlight: Terminal.red)) }
  }

  /// - Throws: `StandardStream.Failure` when printed results have not arrived, ``CommandFailure`` for a file.
  mutating func finish() throws {
    let text: String
    switch configuration.format {
    case .table:
      text = configuration.streams ? "" : table.header + measurements.map { table.line($0) }.joined()
    case .json: text = json.text() + "\n"
    case .csv: text = CSVFormat.text(measurements)
    }
    if let file { return try file.write(text) }
    emit(text)
    if let failure { throw failure }
    try StandardStream.output.flush()
  }

  // MARK: JSON

  private var json: JSONValue {
    .object([
      ("version", .integer(reportVersion)),
      ("tutti", .string(toolVersion)),
      (
        "system",
        .object([
          ("host", .string(system.host)), ("cpu", .string(system.cpu)), ("cores", .integer(system.cores)),
          ("memoryBytes", .integer(system.memoryBytes)), ("kernel", .string(system.kernel)),
        ])
      ),
      ("configuration", configurationJSON),
      ("results", .array(measurements.map(Self.json))),
    ])
  }

  private var configurationJSON: JSONValue {
    let subject = configuration.subject
    return .object([
      ("collective", .string(subject.name)), ("ranks", .integer(rankCount)),
      ("transport", .string(configuration.transport.name)), ("tls", .bool(isEncrypted)),
      ("algorithm", .string(configuration.algorithms.name)),
      ("sizes", .array(configuration.sizes.map { .integer($0) })),
      ("dtype", subject.carriesData ? .string(configuration.typeName) : .null),
      ("op", subject.combines ? .string(configuration.operationName) : .null),
      ("root", subject.hasRoot ? .integer(configuration.root) : .null),
      ("iterations", .optional(configuration.iterations)), ("durationSeconds", .optional(configuration.duration)),
      ("warmup", .optional(configuration.warmup)),
      ("inPlace", .bool(configuration.inPlace)), ("registered", .bool(configuration.registered)),
      ("unaligned", .bool(configuration.unaligned)), ("backToBack", .bool(configuration.backToBack)),
      ("check", .bool(configuration.check)),
      ("timeoutSeconds", .number(configuration.timeout)), ("bits", .string(bits.name)),
      (
        "topology",
        .object([("name", .optional(configuration.topology?.name)), ("hash", .string(topologyHash))])
      ),
      ("tuning", tuning.json),
    ])
  }

  private static func json(_ measurement: Measurement) -> JSONValue {
    let times = measurement.times
    let microseconds = { (nanoseconds: Double) in JSONValue.number((nanoseconds).rounded() / 1000) }
    return .object([
      ("collective", .string(measurement.subject.name)), ("bytes", .integer(measurement.bytes)),
      ("count", .integer(measurement.count)), ("dtype", .optional(measurement.type)),
      ("op", .optional(measurement.operation)),
      ("root", .optional(measurement.root)), ("ranks", .integer(measurement.rankCount)),
      ("algorithm", .optional(measurement.algorithm)), ("foldClass", .optional(measurement.foldClass)),
      ("transport", .string(measurement.transport)), ("dataPath", .optional(measurement.dataPath)),
      ("inPlace", .bool(measurement.inPlace)),
      ("iterations", .integer(times.iterationCount)),
      (
        "timeMicroseconds",
        .object([
          ("min", microseconds(times.minimum)), ("median", microseconds(times.median)),
          ("p99", microseconds(times.percentile99)), ("mean", microseconds(times.mean)),
          ("max", microseconds(times.maximum)),
        ])
      ),
      ("algbwGBps", .number(measurement.algorithmBandwidth)), ("busbwGBps", .number(measurement.busBandwidth)),
      ("wrongElements", .optional(measurement.wrongElements)),
    ])
  }
}
