import Glibc
import Tutti
import TuttiSchedule

/// The names the command line knows, in the order it prints them. Everything a user can type is looked up here.
enum Catalog {
  static let subjects = Subject.all.map(\.name)
  static let collectives = Collective.allCases.map(\.name)
  static let types = DataType.allCases.map(\.name)
  static let operations = ReduceOp.allCases.map(\.name)
  static let transports = TransportChoice.allCases.map(\.name)
  static let formats = ["table", "json", "csv"]

  /// The algorithms for a collective, in the registry's order.
  static func algorithms(for collective: Collective) -> [String] { Subject.collective(collective).algorithms.map(\.name) }

  /// The types that an operation is defined for.
  static func types(for operation: ReduceOp) -> [String] {
    DataType.allCases.filter { operation.isDefined(for: $0) }.map(\.name)
  }

  /// Why a transport cannot be used on this machine; nil when it can.
  static func obstacle(to transport: String) -> String? {
    switch transport {
    case "shm":
      return sharedMemoryObstacle()
    case "rdma":
      return rdmaObstacle()
    case "tcp":
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { return "socket: \(systemErrorText())" }
      defer { close(descriptor) }
      return listen(descriptor, 1) == 0 ? nil : "listen: \(systemErrorText())"
    default:
      return nil
    }
  }
}
