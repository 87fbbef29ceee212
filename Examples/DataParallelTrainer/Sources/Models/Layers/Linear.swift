/// `output = input weightᵀ + bias`. The weight has one row for each output.
struct Linear<Element: Scalar> {
  let weight: Parameter<Element>
  let bias: Parameter<Element>?

  init(
    _ name: String, inputs: Int, outputs: Int, deviation: Double, hasBias: Bool = true, in parameters: Parameters<Element>
  ) {
    weight = parameters.add("\(name).weight", [outputs, inputs], .normal(deviation))
    bias = hasBias ? parameters.add("\(name).bias", [outputs], .constant(0)) : nil
  }

  /// - Parameter adding: Adds to `output`, as the end of a residual branch does.
  func forward(_ input: Matrix<Element>, into output: Matrix<Element>, adding: Bool = false) {
    if let bias = bias?.values {
      for index in 0..<output.rows {
        let row = output.row(index)
        if adding {
          for column in 0..<output.columns { row[column] += bias[column] }
        } else {
          row.update(from: bias, count: output.columns)
        }
      }
    }
    multiply(input, weight.valueMatrix.transposed, into: output, adding: adding || bias != nil)
  }

  /// The parameters' gradients come first, so that they can leave while `inputGradient` is computed.
  ///
  /// - Parameter inputGradient: Overwritten. `nil` for the first layer: data has no gradient.
  func backward(
    _ input: Matrix<Element>, _ outputGradient: Matrix<Element>, into inputGradient: Matrix<Element>?,
    ready: (Int) throws -> Void
  ) throws {
    if let bias {
      let gradient = bias.gradient
      for index in 0..<outputGradient.rows {
        let row = outputGradient.row(index)
        for column in 0..<outputGradient.columns { gradient[column] += row[column] }
      }
      try ready(bias.index)
    }
    multiply(outputGradient.transposed, input, into: weight.gradientMatrix, adding: true)
    try ready(weight.index)
    if let inputGradient { multiply(outputGradient, weight.valueMatrix, into: inputGradient) }
  }
}
