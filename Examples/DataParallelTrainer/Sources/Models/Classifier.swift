/// A multi-layer perceptron for the 8 x 8 pixels of a handwritten digit.
///
/// - Parameters:
///   - hidden: The width of each hidden layer; without any, the classifier is linear.
/// - Throws: ``ModelError`` if a layer has no elements.
public func makeDigitsClassifier<Element: Scalar>(
  _: Element.Type = Float.self, inputs: Int = 64, hidden: [Int] = [128, 64], classes: Int = 10
) throws(ModelError) -> any Model<Element> {
  try Classifier<Element>(inputs: inputs, hidden: hidden, classes: classes)
}

/// Linear layers with ``ReLU`` between them, then ``CrossEntropy``.
///
/// Weights start with a normal distribution of variance 2 / inputs, so that signals keep their size from layer to layer:
/// He et al., "Delving Deep into Rectifiers", ICCV 2015.
final class Classifier<Element: Scalar>: Model {
  private let parameters = Parameters<Element>()
  private let workspace = Workspace<Element>()
  private let layers: [Linear<Element>]
  /// The input of each layer, and last the logits.
  private let activations: [Workspace<Element>.Rows]
  /// The gradients of the hidden layers' outputs.
  private let hiddenGradients: [Workspace<Element>.Rows]
  private let inputs: Int
  private let classes: Int

  init(inputs: Int, hidden: [Int], classes: Int) throws(ModelError) {
    let widths = [inputs] + hidden + [classes]
    guard widths.allSatisfy({ $0 > 0 }) else {
      throw ModelError("a classifier of layers \(widths) has a layer without elements; give each at least 1")
    }
    self.inputs = inputs
    self.classes = classes
    layers = widths.indices.dropLast().map { [parameters] index in
      let deviation = (2 / Double(widths[index])).squareRoot()
      return Linear(
        "layers.\(index)", inputs: widths[index], outputs: widths[index + 1], deviation: deviation, in: parameters)
    }
    activations = widths.map { [workspace] in workspace.rows(of: $0) }
    hiddenGradients = hidden.map { [workspace] in workspace.rows(of: $0) }
  }

  var definitions: [ParameterDefinition] { parameters.definitions }

  func bind(values: [UnsafeMutablePointer<Element>], gradients: [UnsafeMutablePointer<Element>]) {
    parameters.bind(values: values, gradients: gradients)
  }

  func initialize(seed: UInt64) { parameters.initialize(seed: seed) }

  // Callers hold an `any Model`. Without specialisation (SE-0460) their calls would run code for any number type, which
  // looks up every single operation at run time.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func train(
    _ batch: Batch, scale: Double, forwardEnded: () -> Void, gradientReady: (Int) throws -> Void
  ) throws -> Double {
    let rows = batch.rows
    let logits = try forward(batch)
    let result = CrossEntropy.score(logits, batch.targets, gradientScale: scale)
    forwardEnded()

    var upstream = logits
    for index in layers.indices.reversed() {
      let layer = layers[index]
      let input = activations[index].matrix(rows)
      if index == 0 {
        try layer.backward(input, upstream, into: nil, ready: gradientReady)
      } else {
        let gradient = hiddenGradients[index - 1].matrix(rows)
        try layer.backward(input, upstream, into: gradient, ready: gradientReady)
        ReLU.backward(outputs: input.contiguous, gradient: gradient.contiguous)
        upstream = gradient
      }
    }
    return result.lossSum
  }

  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func evaluate(_ batch: Batch) throws -> Evaluation {
    CrossEntropy.score(try forward(batch), batch.targets)
  }

  /// - Returns: The logits, `[rows, classes]`.
  private func forward(_ batch: Batch) throws(ModelError) -> Matrix<Element> {
    guard case .features(let features) = batch.inputs else {
      throw ModelError("a classifier of features was given tokens; make the batch with Batch(features:targets:rows:)")
    }
    guard features.count == batch.rows * inputs, batch.targets.count == batch.rows else {
      throw ModelError(
        "a batch of \(batch.rows) rows has \(features.count) features and \(batch.targets.count) targets; "
          + "the model takes \(inputs) features and 1 target a row")
    }
    try check(batch.targets, below: classes, "target")

    workspace.prepare(positions: batch.rows)
    let first = activations[0].matrix(batch.rows).contiguous
    for index in first.indices { first[index] = Element(features[index]) }
    for index in layers.indices {
      let output = activations[index + 1].matrix(batch.rows)
      layers[index].forward(activations[index].matrix(batch.rows), into: output)
      if index + 1 < layers.count { ReLU.forward(inPlace: output.contiguous) }
    }
    return activations[layers.count].matrix(batch.rows)
  }
}
