// What a checkpoint is made of: ranges of parameters and of what the optimizer keeps for them.

/// An element type that checkpoints hold: `Float` and `Double`.
public protocol CheckpointElement: BitwiseCopyable, Sendable {
  /// The type's name in manifests.
  static var checkpointName: String { get }
}

extension Float: CheckpointElement {
  public static var checkpointName: String { "float32" }
}

extension Double: CheckpointElement {
  public static var checkpointName: String { "float64" }
}

/// Which array of a parameter a piece belongs to.
public enum CheckpointPart: Sendable, Hashable, CustomStringConvertible {
  /// The parameter's values.
  case values
  /// One of the arrays that the optimizer keeps beside them, from 0.
  case state(Int)

  /// 0 for the values, 1 + k for state k.
  var code: UInt32 {
    switch self {
    case .values: 0
    case .state(let index): UInt32(index) + 1
    }
  }

  init(code: UInt32) { self = code == 0 ? .values : .state(Int(code) - 1) }

  public var description: String {
    switch self {
    case .values: "values"
    case .state(let index): "optimizer state \(index)"
    }
  }
}

/// A range of one parameter (or of its optimizer state) and where it is in memory.
///
/// The memory is the caller's, who keeps it alive and unchanged during the call that is given the piece.
public struct CheckpointPiece<Element: CheckpointElement> {
  /// The parameter's index in the manifest.
  public let parameter: Int
  public let part: CheckpointPart
  /// Elements of the parameter, counted from its first.
  public let range: Range<Int>
  /// Shape `[range.count]`: read by a write, written by a read.
  public let memory: UnsafeMutableBufferPointer<Element>

  public init(parameter: Int, part: CheckpointPart, range: Range<Int>, memory: UnsafeMutableBufferPointer<Element>) {
    precondition(range.count == memory.count, "a piece of \(range.count) elements has memory for \(memory.count)")
    self.parameter = parameter
    self.part = part
    self.range = range
    self.memory = memory
  }
}
