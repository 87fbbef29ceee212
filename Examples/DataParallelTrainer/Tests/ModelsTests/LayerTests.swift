import Testing

@testable import Models

/// Each layer's backward pass against central differences of its forward pass, in double precision.
@Suite struct LayerTests {
  /// The objective is the output's product with fixed random numbers, which are then the output's gradient.
  private func check(
    _ parameters: Parameters<Double>, input: Matrix<Double>?, output: Matrix<Double>, seed: UInt64,
    forward: () -> Void, backward: (_ upstream: Matrix<Double>, _ inputGradient: Matrix<Double>) throws -> Void,
    _ location: SourceLocation = #_sourceLocation
  ) throws {
    let memory = Memory<Double>()
    var random = RandomNumbers(seed: seed)
    let values = parameters.all.map { memory.zeros($0.definition.count) }
    let gradients = parameters.all.map { memory.zeros($0.definition.count) }
    for tensor in values { for index in tensor.indices { tensor[index] = random.nextNormal() } }
    parameters.bind(values: values.map { $0.baseAddress! }, gradients: gradients.map { $0.baseAddress! })

    let weights = (0..<output.contiguous.count).map { _ in random.nextNormal() }
    func objective() -> Double {
      output.contiguous.update(repeating: 0)
      forward()
      return zip(output.contiguous, weights).reduce(0) { $0 + $1.0 * $1.1 }
    }

    _ = objective()
    let upstream = memory.zeros(rows: output.rows, columns: output.columns)
    for index in weights.indices { upstream.contiguous[index] = weights[index] }
    let inputGradient = memory.zeros(rows: input?.rows ?? 0, columns: input?.columns ?? 0)
    try backward(upstream, inputGradient)

    for parameter in parameters.all {
      let error = gradientError(
        Array(gradients[parameter.index]), of: objective, by: values[parameter.index])
      #expect(error < 1e-6, "\(parameter.definition.name), TUTTI_TEST_SEED=\(seed)", sourceLocation: location)
    }
    if let input {
      let error = gradientError(Array(inputGradient.contiguous), of: objective, by: input.contiguous)
      #expect(error < 1e-6, "input, TUTTI_TEST_SEED=\(seed)", sourceLocation: location)
    }
  }

  @Test(arguments: [true, false], [true, false]) func linear(hasBias: Bool, adding: Bool) throws {
    let (seed, memory, parameters) = (testSeed(), Memory<Double>(), Parameters<Double>())
    var random = RandomNumbers(seed: seed)
    let layer = Linear("linear", inputs: 5, outputs: 3, deviation: 1, hasBias: hasBias, in: parameters)
    let input = memory.normal(rows: 4, columns: 5, &random)
    let output = memory.zeros(rows: 4, columns: 3)
    try check(parameters, input: input, output: output, seed: seed) {
      layer.forward(input, into: output, adding: adding)
    } backward: { upstream, inputGradient in
      try layer.backward(input, upstream, into: inputGradient, ready: { _ in })
    }
  }

  @Test func layerNorm() throws {
    let (seed, memory, parameters) = (testSeed(), Memory<Double>(), Parameters<Double>())
    var random = RandomNumbers(seed: seed)
    let workspace = Workspace<Double>()
    let layer = LayerNorm("norm", width: 11, in: parameters, workspace)
    workspace.prepare(positions: 3)
    let input = memory.normal(rows: 3, columns: 11, &random)
    let output = memory.zeros(rows: 3, columns: 11)
    try check(parameters, input: input, output: output, seed: seed) {
      layer.forward(input, into: output)
    } backward: { upstream, inputGradient in
      try layer.backward(upstream, addingTo: inputGradient, ready: { _ in })
    }
  }

  @Test func attention() throws {
    let (seed, memory) = (testSeed(), Memory<Double>())
    var random = RandomNumbers(seed: seed)
    let workspace = Workspace<Double>()
    let layer = Attention(
      heads: 2, width: 6, context: 5, weightGradient: workspace.rows(of: 5), workspace)
    workspace.prepare(positions: 8)
    // Two rows of four tokens, shorter than the context.
    let input = memory.normal(rows: 8, columns: 18, &random)
    let output = memory.zeros(rows: 8, columns: 6)
    try check(Parameters(), input: input, output: output, seed: seed) {
      layer.forward(input, length: 4, into: output)
    } backward: { upstream, inputGradient in
      layer.backward(input, length: 4, upstream, into: inputGradient)
    }
  }

  @Test func embedding() throws {
    let (seed, memory, parameters) = (testSeed(), Memory<Double>(), Parameters<Double>())
    let layer = Embedding(vocabulary: 4, context: 3, width: 5, deviation: 1, in: parameters)
    let ids: [Int32] = [3, 1, 1, 0, 3, 3]
    let output = memory.zeros(rows: 6, columns: 5)
    try check(parameters, input: nil, output: output, seed: seed) {
      layer.forward(ids, length: 3, into: output)
    } backward: { upstream, _ in
      try layer.backward(ids, length: 3, upstream, ready: { _ in })
    }
  }

  @Test(arguments: [true, false]) func activations(isGELU: Bool) throws {
    let (seed, memory) = (testSeed(), Memory<Double>())
    var random = RandomNumbers(seed: seed)
    let input = memory.normal(rows: 4, columns: 9, &random)
    let output = memory.zeros(rows: 4, columns: 9)
    try check(Parameters(), input: input, output: output, seed: seed) {
      if isGELU {
        GELU.forward(input.contiguous, into: output.contiguous)
      } else {
        output.copy(input)
        ReLU.forward(inPlace: output.contiguous)
      }
    } backward: { upstream, inputGradient in
      inputGradient.copy(upstream)
      if isGELU {
        GELU.backward(inputs: input.contiguous, gradient: inputGradient.contiguous)
      } else {
        ReLU.backward(outputs: output.contiguous, gradient: inputGradient.contiguous)
      }
    }
  }

  /// Far from 0, GELU is the identity or 0 and never NaN, though the exponential inside it overflows.
  @Test func geluOfLargeNumbers() {
    let memory = Memory<Float>()
    let (inputs, outputs, gradient) = (memory.zeros(4), memory.zeros(4), memory.zeros(4))
    for (index, value) in [-1e6, -40, 40, 1e6].enumerated() { inputs[index] = Float(value) }
    gradient.update(repeating: 1)
    GELU.forward(inputs, into: outputs)
    GELU.backward(inputs: inputs, gradient: gradient)
    #expect(Array(outputs) == [0, 0, 40, 1e6])
    #expect(Array(gradient) == [0, 0, 1, 1])
  }

  @Test func crossEntropy() {
    let (seed, memory) = (testSeed(), Memory<Double>())
    var random = RandomNumbers(seed: seed)
    let logits = memory.normal(rows: 3, columns: 10, &random)
    let targets: [Int32] = [9, 0, 4]
    let scratch = memory.zeros(rows: 3, columns: 10)
    func score(_ scale: Double?) -> Evaluation {
      scratch.copy(logits)
      return CrossEntropy.score(scratch, targets, gradientScale: scale)
    }
    _ = score(0.25)
    let gradient = Array(scratch.contiguous)
    let error = gradientError(gradient, of: { 0.25 * score(nil).lossSum }, by: logits.contiguous)
    #expect(error < 1e-6, "TUTTI_TEST_SEED=\(seed)")
    #expect(score(nil).lossSum == score(1).lossSum)
  }

  @Test func crossEntropyOfCertainties() {
    let memory = Memory<Float>()
    let logits = memory.zeros(rows: 2, columns: 3)
    (logits.row(0)[1], logits.row(1)[1]) = (1e4, 1e4)
    let result = CrossEntropy.score(logits, [1, 2])
    #expect(result == Evaluation(lossSum: 1e4, correct: 1, targets: 2))
  }
}
