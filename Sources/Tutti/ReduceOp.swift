/// How the ranks' values are combined. Every operation is bitwise commutative; the algorithm alone fixes the order.
public enum ReduceOp: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  /// Integers wrap. Floating-point sums round to nearest even at each combine.
  case sum = 0
  /// IEEE 754 minimum: -0 < +0, and a NaN on any rank gives the one canonical NaN.
  case min = 2
  /// IEEE 754 maximum: -0 < +0, and a NaN on any rank gives the one canonical NaN.
  case max = 3

  /// The name on the command line, in JSON and in errors.
  public var name: String {
    switch self {
    case .sum: "sum"
    case .min: "min"
    case .max: "max"
    }
  }

  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  public var description: String { name }
}
