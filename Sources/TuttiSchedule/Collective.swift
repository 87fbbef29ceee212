/// What a group of ranks computes together. Raw values travel between ranks, so they are never renumbered.
public enum Collective: UInt8, Sendable, CaseIterable {
  /// Every rank ends with the combination of all ranks' inputs.
  case allReduce = 1
  /// No rank leaves before every rank has entered. Carries no data.
  case barrier = 2

  /// The name on the command line, in JSON and in errors.
  public var name: String {
    switch self {
    case .allReduce: "all-reduce"
    case .barrier: "barrier"
    }
  }

  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }
}
