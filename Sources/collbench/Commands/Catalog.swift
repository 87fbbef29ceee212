import Tutti
import TuttiSchedule

/// The names the command line knows, in the order it prints them. Everything a user can type is looked up here.
enum Catalog {
  static let subjects = Subject.allCases.map(\.name)
  static let collectives = Collective.allCases.map(\.name)
  static let types = DataType.allCases.map(\.name)
  static let operations = ReduceOp.allCases.map(\.name)
  static let transports = TransportChoice.allCases.map(\.name)
  /// Those that join processes.
  static let processTransports = transports.filter { $0 != TransportChoice.inProcess.name }
  static let formats = ["table", "json", "csv"]

  /// The algorithms for a collective, in the registry's order.
  static func algorithms(for collective: Collective) -> [String] { Subject.collective(collective).algorithms.map(\.name) }

  /// The names, with one form, `hierarchical:INNER+OUTER`, in the place of all pairs of that kind.
  static func forms(of names: [String]) -> [String] {
    var forms: [String] = []
    for name in names {
      let isPair = name.contains("+")
      let form = isPair ? "\(name.prefix { $0 != ":" }):INNER+OUTER" : name
      if !isPair || !forms.contains(form) { forms.append(form) }
    }
    return forms
  }

  /// The types that an operation is defined for.
  static func types(for operation: ReduceOp) -> [String] {
    DataType.allCases.filter { operation.isDefined(for: $0) }.map(\.name)
  }
}
