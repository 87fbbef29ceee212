/// The types of elements that collectives combine.
public enum DataType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case int32 = 2
  case int64 = 4
  case float32 = 8
  case float64 = 9

  /// The name on the command line, in JSON and in errors.
  public var name: String {
    switch self {
    case .int32: "int32"
    case .int64: "int64"
    case .float32: "float32"
    case .float64: "float64"
    }
  }

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .int32, .float32: 4
    case .int64, .float64: 8
    }
  }

  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  public var description: String { name }
}

/// A Swift type whose values collectives combine.
public protocol TuttiElement: BitwiseCopyable, Sendable {
  /// The type as the ranks tell each other.
  static var dataType: DataType { get }
}

extension Int32: TuttiElement {
  public static var dataType: DataType { .int32 }
}

extension Int64: TuttiElement {
  public static var dataType: DataType { .int64 }
}

extension Int: TuttiElement {
  public static var dataType: DataType { .int64 }
}

extension Float: TuttiElement {
  public static var dataType: DataType { .float32 }
}

extension Double: TuttiElement {
  public static var dataType: DataType { .float64 }
}
