/// The parameters of one model in the order layers register them, which is that of the forward pass.
///
/// Owns names, shapes and initial distributions. Values and gradients belong to the caller of
/// ``Model/bind(values:gradients:)``.
final class Parameters<Element: Scalar> {
  private(set) var all: [Parameter<Element>] = []

  var definitions: [ParameterDefinition] { all.map(\.definition) }

  func add(_ name: String, _ shape: [Int], _ initial: InitialValues) -> Parameter<Element> {
    let decays = shape.count > 1
    let parameter = Parameter<Element>(
      index: all.count, ParameterDefinition(name: name, shape: shape, decays: decays), initial)
    all.append(parameter)
    return parameter
  }

  func bind(values: [UnsafeMutablePointer<Element>], gradients: [UnsafeMutablePointer<Element>]) {
    precondition(
      values.count == all.count && gradients.count == all.count,
      "\(values.count) values and \(gradients.count) gradients for \(all.count) parameters")
    for parameter in all {
      parameter.memory = (values[parameter.index], gradients[parameter.index])
    }
  }

  /// Numbers are drawn in double precision and then rounded: `Float` and `Double` start from the same model.
  func initialize(seed: UInt64) {
    var random = RandomNumbers(seed: seed)
    for parameter in all {
      let values = UnsafeMutableBufferPointer(start: parameter.values, count: parameter.definition.count)
      switch parameter.initial {
      case .constant(let value):
        values.update(repeating: Element(value))
      case .normal(let deviation):
        for index in values.indices { values[index] = Element(deviation * random.nextNormal()) }
      }
    }
  }
}

enum InitialValues {
  case constant(Double)
  /// Mean 0 and this standard deviation.
  case normal(Double)
}

/// One parameter tensor and its gradient. A matrix is `[rows, columns]`; a vector counts as one row.
final class Parameter<Element: Scalar> {
  let index: Int
  let definition: ParameterDefinition
  let initial: InitialValues
  fileprivate var memory: (values: UnsafeMutablePointer<Element>, gradient: UnsafeMutablePointer<Element>)?

  fileprivate init(index: Int, _ definition: ParameterDefinition, _ initial: InitialValues) {
    self.index = index
    self.definition = definition
    self.initial = initial
  }

  var values: UnsafeMutablePointer<Element> { bound.values }
  var gradient: UnsafeMutablePointer<Element> { bound.gradient }

  var valueMatrix: Matrix<Element> { matrix(values) }
  var gradientMatrix: Matrix<Element> { matrix(gradient) }

  private var bound: (values: UnsafeMutablePointer<Element>, gradient: UnsafeMutablePointer<Element>) {
    guard let memory else { preconditionFailure("bind(values:gradients:) comes before the first use of a model") }
    return memory
  }

  private func matrix(_ start: UnsafeMutablePointer<Element>) -> Matrix<Element> {
    let columns = definition.shape.last ?? 1
    return Matrix(start, rows: definition.count / max(columns, 1), columns: columns)
  }
}
