import TuttiSchedule

/// How the ranks' values are combined. Every operation is bitwise commutative; the algorithm alone fixes the order.
public enum ReduceOp: UInt8, Sendable, Named {
  /// Integers wrap. Floating-point sums round to nearest even at each combine; float16 and bfloat16 combine in float32 and
  /// round once for each combine, of however many operands.
  case sum = 0
  /// Rounds and wraps as ``sum``.
  case product = 1
  /// IEEE 754 minimum: -0 < +0, and a NaN on any rank gives the one canonical NaN.
  case min = 2
  /// IEEE 754 maximum: -0 < +0, and a NaN on any rank gives the one canonical NaN.
  case max = 3
  /// Combines each bit by AND. It is defined for integers and bool only.
  case bitwiseAnd = 4
  /// Combines each bit by OR. It is defined for integers and bool only.
  case bitwiseOr = 5
  /// Combines each bit by XOR. It is defined for integers and bool only.
  case bitwiseXor = 6
  /// The sum divided by the rank count: once, where it is complete; in float16 and bfloat16 each contribution as it enters a
  /// combine, so that the sum does not overflow where the mean does not. It is defined for floating-point types only: an
  /// integer's average would be truncated without a word.
  case average = 7

  public var name: String {
    switch self {
    case .sum: "sum"
    case .product: "product"
    case .min: "min"
    case .max: "max"
    case .bitwiseAnd: "bitwise-and"
    case .bitwiseOr: "bitwise-or"
    case .bitwiseXor: "bitwise-xor"
    case .average: "average"
    }
  }

  /// Whether values of the type can be combined by this operation.
  public func isDefined(for type: DataType) -> Bool {
    switch self {
    case .sum, .product, .min, .max: true
    case .bitwiseAnd, .bitwiseOr, .bitwiseXor: type.isInteger
    case .average: !type.isInteger
    }
  }
}
