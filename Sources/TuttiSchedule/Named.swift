/// A type whose values people name: on the command line, in JSON and in errors.
public protocol Named: CaseIterable, CustomStringConvertible {
  /// The name on the command line, in JSON and in errors.
  var name: String { get }
}

extension Named {
  /// The value of that ``name``; nil when there is none.
  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  /// The ``name``.
  public var description: String { name }
}
