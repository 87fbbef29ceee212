/// The name of a transport, as users type and read it. It travels between ranks.
@frozen
public struct TransportKind: Hashable, Sendable {
  public let name: String

  /// The longest name, in UTF-8.
  package static let nameBytesMax = 16

  package init(_ name: String) {
    precondition((1...Self.nameBytesMax).contains(name.utf8.count), "a transport's name has 1 to \(Self.nameBytesMax) bytes")
    self.name = name
  }

  /// Takes a name that came from elsewhere; nil if no transport could have it.
  package init?(validating name: String) {
    guard (1...Self.nameBytesMax).contains(name.utf8.count) else { return nil }
    self.name = name
  }

  /// Threads of one process.
  package static let inProcess = TransportKind("inprocess")
}
