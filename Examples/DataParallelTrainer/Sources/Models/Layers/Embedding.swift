/// One row of numbers for each token, plus one for each place in the text: learned positions, as in Radford et al.,
/// "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2).
struct Embedding<Element: Scalar> {
  let tokens: Parameter<Element>
  let positions: Parameter<Element>

  init(vocabulary: Int, context: Int, width: Int, deviation: Double, in parameters: Parameters<Element>) {
    tokens = parameters.add("embedding.tokens.weight", [vocabulary, width], .normal(deviation))
    positions = parameters.add("embedding.positions.weight", [context, width], .normal(deviation))
  }

  /// - Parameters:
  ///   - ids: Shape `[rows, length]`.
  ///   - output: Shape `[rows * length, width]`.
  func forward(_ ids: [Int32], length: Int, into output: Matrix<Element>) {
    let (tokens, positions) = (tokens.valueMatrix, positions.valueMatrix)
    for index in ids.indices {
      let (token, position, target) = (tokens.row(Int(ids[index])), positions.row(index % length), output.row(index))
      for column in 0..<output.columns { target[column] = token[column] + position[column] }
    }
  }

  func backward(
    _ ids: [Int32], length: Int, _ outputGradient: Matrix<Element>, ready: (Int) throws -> Void
  ) throws {
    let positionGradient = positions.gradientMatrix
    for start in stride(from: 0, to: outputGradient.rows, by: max(length, 1)) {
      let columns = 0..<outputGradient.columns
      positionGradient.part(rows: 0..<length, columns: columns)
        .add(outputGradient.part(rows: start..<start + length, columns: columns))
    }
    try ready(positions.index)

    let tokenGradient = tokens.gradientMatrix
    for index in ids.indices {
      let (source, target) = (outputGradient.row(index), tokenGradient.row(Int(ids[index])))
      for column in 0..<outputGradient.columns { target[column] += source[column] }
    }
    try ready(tokens.index)
  }
}
