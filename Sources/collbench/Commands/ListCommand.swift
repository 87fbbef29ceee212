import ArgumentParser
import Tutti
import TuttiChoice
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// `collbench list` shows what this build and this machine have.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists collectives, algorithms, transports and types, and what this machine has.")

  @Option(help: "table or json.")
  var format = "table"

  func validate() throws {
    guard ["table", "json"].contains(format) else {
      throw ValidationError(unknown("format", format, known: ["table", "json"]))
    }
  }

  func run() throws {
    let reports = transportReports()
    let tuning = try tuningHere(nil)
    try Terminal.write(format == "json" ? json(reports, tuning).text() + "\n" : table(reports, tuning))
  }

  private typealias Reports = [(name: String, report: TransportReport)]

  private func transports(_ reports: Reports) -> [(name: String, obstacle: String?)] {
    Catalog.transports.filter { $0 != "auto" }.map { name in (name, reports.first { $0.name == name }?.report.obstacle) }
  }

  /// The operations that work on the same types, in the order of the first of each.
  private var operationGroups: [(operations: [String], types: [String])] {
    var groups: [(operations: [String], types: [String])] = []
    for operation in ReduceOp.allCases {
      let types = Catalog.types(for: operation)
      if let index = groups.firstIndex(where: { $0.types == types }) {
        groups[index].operations.append(operation.name)
      } else {
        groups.append(([operation.name], types))
      }
    }
    return groups
  }

  private func table(_ reports: Reports, _ tuning: Tuning) -> String {
    var text = "collectives and their algorithms\n"
    for subject in Subject.allCases {
      let algorithms = Catalog.forms(of: subject.algorithms.map(\.name))
      text += "  \(subject.name): \(algorithms.isEmpty ? "no algorithms" : algorithms.joined(separator: ", "))\n"
    }
    for subject in Subject.allCases where subject.combines {
      text += "  \(subject.name), the same bits at any size: \(subject.canonicalAlgorithms.joined(separator: ", "))\n"
    }
    text += "  INNER names what works inside groups of ranks, OUTER what works between them: hierarchical:direct+ring\n"
    text += "transports\n"
    for transport in transports(reports) {
      text += "  \(transport.name): \(transport.obstacle.map { "not usable here: \($0)" } ?? "usable")\n"
    }
    text += "TLS\n  \(encryptionText)\n"
    let types = DataType.allCases.map { "\($0.name) (\($0.size) byte\($0.size == 1 ? "" : "s"))" }
    text += "types\n  \(types.joined(separator: ", "))\n"
    text += "operations of \(Subject.allCases.filter(\.combines).map(\.name).joined(separator: ", "))\n"
    for group in operationGroups {
      let types = group.types.count == DataType.allCases.count ? "all types" : group.types.joined(separator: ", ")
      text += "  \(group.operations.joined(separator: ", ")): \(types)\n"
    }
    let shapes = tuning.profile.shapes.map { "  measured: \($0.text)\n" }.joined()
    return text + "processors\n  \(processorText)\n  \(family.title) (\(family.rawValue))\n"
      + "tuning\n  \(tuning.profile.summary), \(tuning.source.text)\n\(shapes)" + reports.map(\.report.text).joined()
  }

  /// `off (TUTTI_TLS=1 turns it on); OpenSSL 3.0.15 3 Sep 2024`.
  private var encryptionText: String {
    let facts = EncryptionFacts.current()
    let state = facts.isAskedFor ? "on (TUTTI_TLS=1)" : "off (TUTTI_TLS=1 turns it on)"
    return "\(state); \(facts.library ?? "not usable here: \(facts.obstacle ?? "")")"
  }

  private var encryptionJSON: JSONValue {
    let facts = EncryptionFacts.current()
    return .object([
      ("on", .bool(facts.isAskedFor)), ("usable", .bool(facts.library != nil)), ("library", .optional(facts.library)),
      ("reason", .optional(facts.obstacle)),
    ])
  }

  /// `0-3 (4) on NUMA nodes 0 (0-3,8-11), 1 (4-7,12-15), 1.5 by quota`.
  private var processorText: String {
    let facts = ProcessorFacts.current()
    let nodes = facts.nodes.map { "\($0.number) (\($0.processors.isEmpty ? "no processors" : $0.processors))" }
    let place = nodes.isEmpty ? "" : " on NUMA node\(nodes.count == 1 ? "" : "s") \(nodes.joined(separator: ", "))"
    return "\(facts.list) (\(facts.count))\(place), \(facts.quota.map { "\($0) by quota" } ?? "no quota")"
  }

  private var family: ProcessorFamily { .current() }

  private var processorJSON: JSONValue {
    let facts = ProcessorFacts.current()
    return .object([
      ("family", .string(family.rawValue)), ("allowed", .string(facts.list)), ("count", .integer(facts.count)),
      ("quota", facts.quota.map { .number($0) } ?? .null),
      (
        "numaNodes",
        .array(
          facts.nodes.map { .object([("number", .integer($0.number)), ("processors", .string($0.processors))]) })
      ),
    ])
  }

  private func json(_ reports: Reports, _ tuning: Tuning) -> JSONValue {
    let details = reports.compactMap { name, report in report.details.map { (name, JSONValue($0)) } }
    return .object(
      [
        ("version", .integer(reportVersion)),
        ("tutti", .string(toolVersion)),
        (
          "collectives",
          .array(
            Subject.allCases.map { subject in
              .object([
                ("name", .string(subject.name)),
                ("algorithms", .array(subject.algorithms.map { .string($0.name) })),
                ("canonicalFold", .array(subject.canonicalAlgorithms.map { .string($0) })),
                ("hasRoot", .bool(subject.hasRoot)), ("combines", .bool(subject.combines)),
                ("hasBlocks", .bool(subject.hasBlocks)),
              ])
            })
        ),
        (
          "transports",
          .array(
            transports(reports).map {
              .object([
                ("name", .string($0.name)), ("usable", .bool($0.obstacle == nil)), ("reason", .optional($0.obstacle)),
              ])
            })
        ),
        (
          "types",
          .array(
            DataType.allCases.map { type in
              let operations = ReduceOp.allCases.filter { $0.isDefined(for: type) }.map { JSONValue.string($0.name) }
              return .object([
                ("name", .string(type.name)), ("bytes", .integer(type.size)), ("operations", .array(operations)),
              ])
            })
        ),
        ("operations", .array(Catalog.operations.map { .string($0) })),
        ("tls", encryptionJSON), ("processors", processorJSON), ("tuning", TuningInfo(tuning).json),
      ] + details)
  }
}
