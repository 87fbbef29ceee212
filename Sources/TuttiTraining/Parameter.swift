import Tutti

/// The type of the elements of parameters and their gradients: `Float` or `Double`. No other type can be trained.
public protocol TrainingElement: TuttiElement, BinaryFloatingPoint, SIMDScalar, Codable {}

extension Float: TrainingElement {}
extension Double: TrainingElement {}

/// One parameter of a model: a tensor, seen as a list of numbers.
public struct Parameter<Element: TrainingElement>: @unchecked Sendable {
  // @unchecked: whoever shares the values orders the accesses; the synchronizer touches them only in calls that document it.

  /// The name in errors and reports. The same on every rank.
  public let name: String
  /// Shape `[count]`; `count` may be 0. The caller's memory, which outlives the synchronizer.
  public let values: UnsafeMutableBufferPointer<Element>

  /// Describes a parameter.
  public init(_ name: String, _ values: UnsafeMutableBufferPointer<Element>) {
    self.name = name
    self.values = values
  }
}
