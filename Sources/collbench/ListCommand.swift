import ArgumentParser
import Tutti
import TuttiSchedule

/// `collbench list`: what this build and this machine have.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the collectives, algorithms, transports, types and operations.")

  @Option(help: "table or json.")
  var format = "table"

  func validate() throws {
    guard ["table", "json"].contains(format) else {
      throw ValidationError(unknown("format", format, known: ["table", "json"]))
    }
  }

  func run() {
    Terminal.write(format == "json" ? json.text() + "\n" : table)
  }

  private var transports: [(name: String, obstacle: String?)] {
    Catalog.transports.filter { $0 != "auto" }.map { ($0, Catalog.obstacle(to: $0)) }
  }

  private var table: String {
    var text = "collectives and their algorithms\n"
    for collective in Collective.allCases {
      text += "  \(collective.name): \(Catalog.algorithms(for: collective).joined(separator: ", "))\n"
    }
    text += "transports\n"
    for transport in transports {
      text += "  \(transport.name): \(transport.obstacle.map { "not usable here: \($0)" } ?? "usable")\n"
    }
    let types = DataType.allCases.map { "\($0.name) (\($0.size) bytes)" }
    return text + """
      types
        \(types.joined(separator: ", "))
      operations
        \(Catalog.operations.joined(separator: ", "))

      """
  }

  private var json: JSONValue {
    .object([
      ("version", .integer(reportVersion)),
      ("tutti", .string(toolVersion)),
      (
        "collectives",
        .array(
          Collective.allCases.map { collective in
            let algorithms = Catalog.algorithms(for: collective).map { JSONValue.string($0) }
            return .object([("name", .string(collective.name)), ("algorithms", .array(algorithms))])
          })
      ),
      (
        "transports",
        .array(
          transports.map {
            .object([
              ("name", .string($0.name)), ("usable", .bool($0.obstacle == nil)), ("reason", .optional($0.obstacle)),
            ])
          })
      ),
      (
        "types",
        .array(DataType.allCases.map { .object([("name", .string($0.name)), ("bytes", .integer($0.size))]) })
      ),
      ("operations", .array(Catalog.operations.map { .string($0) })),
    ])
  }
}
