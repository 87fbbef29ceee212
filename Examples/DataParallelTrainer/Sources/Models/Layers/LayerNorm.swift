/// Brings each row to mean 0 and variance 1, then scales and shifts its columns: Ba, Kiros, Hinton, "Layer
/// Normalization", 2016.
struct LayerNorm<Element: Scalar> {
  let weight: Parameter<Element>
  let bias: Parameter<Element>
  /// What the forward pass keeps for the backward pass: rows with mean 0 and variance 1, and what they were divided by.
  private let normalized: Workspace<Element>.Rows
  private let inverseDeviations: Workspace<Element>.Rows

  /// Keeps rows of equal elements from dividing by 0.
  private static var epsilon: Element { 1e-5 }

  init(_ name: String, width: Int, in parameters: Parameters<Element>, _ workspace: Workspace<Element>) {
    weight = parameters.add("\(name).weight", [width], .constant(1))
    bias = parameters.add("\(name).bias", [width], .constant(0))
    normalized = workspace.rows(of: width)
    inverseDeviations = workspace.rows(of: 1)
  }

  func forward(_ input: Matrix<Element>, into output: Matrix<Element>) {
    let width = input.columns
    let (weight, bias) = (weight.values, bias.values)
    let normalized = normalized.matrix(input.rows)
    for index in 0..<input.rows {
      let (source, centred, target) = (input.row(index), normalized.row(index), output.row(index))
      let mean = sum(source, width) / Element(width)
      for column in 0..<width { centred[column] = source[column] - mean }
      let variance = dot(centred, centred, width) / Element(width)
      let inverse = 1 / (variance + Self.epsilon).squareRoot()
      for column in 0..<width {
        centred[column] *= inverse
        target[column] = centred[column] * weight[column] + bias[column]
      }
      inverseDeviations.start[index] = inverse
    }
  }

  /// - Parameters:
  ///   - outputGradient: Used up.
  ///   - inputGradient: Added to: the rows also go past the layer, on the residual stream.
  func backward(
    _ outputGradient: Matrix<Element>, addingTo inputGradient: Matrix<Element>, ready: (Int) throws -> Void
  ) throws {
    let width = outputGradient.columns
    let scale = weight.values
    let (weightGradient, biasGradient) = (weight.gradient, bias.gradient)
    let normalized = normalized.matrix(outputGradient.rows)
    for index in 0..<outputGradient.rows {
      let (upstream, centred) = (outputGradient.row(index), normalized.row(index))
      for column in 0..<width {
        weightGradient[column] += upstream[column] * centred[column]
        biasGradient[column] += upstream[column]
        upstream[column] *= scale[column]
      }
      // What changes a row's mean or variance is taken out again by the normalisation.
      let mean = sum(upstream, width) / Element(width)
      let correlation = dot(upstream, centred, width) / Element(width)
      let inverse = inverseDeviations.start[index]
      let target = inputGradient.row(index)
      for column in 0..<width {
        target[column] += inverse * (upstream[column] - mean - centred[column] * correlation)
      }
    }
    try ready(bias.index)
    try ready(weight.index)
  }
}
