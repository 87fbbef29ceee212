import TuttiSchedule

/// The types of elements that collectives combine.
public enum DataType: UInt8, Sendable, Named {
  case int8 = 0
  case uint8 = 1
  case int32 = 2
  case uint32 = 3
  case int64 = 4
  case uint64 = 5
  case float16 = 6
  case bfloat16 = 7
  case float32 = 8
  case float64 = 9
  case int16 = 10
  case uint16 = 11
  /// A byte: 0 is false, anything else is true. A sum is true where any rank's value is, a product where all are; results
  /// are 0 or 1.
  case bool = 12

  public var name: String {
    switch self {
    case .int8: "int8"
    case .uint8: "uint8"
    case .int32: "int32"
    case .uint32: "uint32"
    case .int64: "int64"
    case .uint64: "uint64"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .float32: "float32"
    case .float64: "float64"
    case .int16: "int16"
    case .uint16: "uint16"
    case .bool: "bool"
    }
  }

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .int8, .uint8, .bool: 1
    case .int16, .uint16, .float16, .bfloat16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64, .float64: 8
    }
  }

  /// Whether arithmetic never rounds, and bitwise operations are defined.
  public var isInteger: Bool {
    switch self {
    case .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .bool: true
    case .float16, .bfloat16, .float32, .float64: false
    }
  }
}

/// The data types of the library's own transfers, which no message of a program has: numbers that are no ``DataType``.
enum ForeignElements: UInt8, CaseIterable {
  /// The one of the transfers that carry envelopes.
  case envelope = 200

  /// What errors call them.
  var description: String {
    switch self {
    case .envelope: "a message with a tag"
    }
  }
}

/// A Swift type whose values collectives combine.
public protocol TuttiElement: BitwiseCopyable, Sendable {
  /// The type that ranks name to each other.
  static var dataType: DataType { get }
}

extension Int8: TuttiElement {
  public static var dataType: DataType { .int8 }
}

extension UInt8: TuttiElement {
  public static var dataType: DataType { .uint8 }
}

extension Int16: TuttiElement {
  public static var dataType: DataType { .int16 }
}

extension UInt16: TuttiElement {
  public static var dataType: DataType { .uint16 }
}

extension Bool: TuttiElement {
  public static var dataType: DataType { .bool }
}

extension Int32: TuttiElement {
  public static var dataType: DataType { .int32 }
}

extension UInt32: TuttiElement {
  public static var dataType: DataType { .uint32 }
}

extension Int64: TuttiElement {
  public static var dataType: DataType { .int64 }
}

extension UInt64: TuttiElement {
  public static var dataType: DataType { .uint64 }
}

extension Int: TuttiElement {
  public static var dataType: DataType { .int64 }
}

extension UInt: TuttiElement {
  public static var dataType: DataType { .uint64 }
}

extension Float16: TuttiElement {
  public static var dataType: DataType { .float16 }
}

extension BFloat16: TuttiElement {
  public static var dataType: DataType { .bfloat16 }
}

extension Float: TuttiElement {
  public static var dataType: DataType { .float32 }
}

extension Double: TuttiElement {
  public static var dataType: DataType { .float64 }
}
