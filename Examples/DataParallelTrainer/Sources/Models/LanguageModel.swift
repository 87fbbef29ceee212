/// A small decoder-only transformer.
///
/// - Parameters:
///   - vocabulary: How many tokens there are.
///   - context: The most tokens it looks at.
///   - width: Of the residual stream.
///   - heads: Of each attention; must divide `width`.
///   - layers: Blocks.
/// - Throws: ``ModelError`` if the sizes do not fit each other.
public func makeLanguageModel<Element: Scalar>(
  _: Element.Type = Float.self, vocabulary: Int, context: Int, width: Int, heads: Int, layers: Int
) throws(ModelError) -> LanguageModel<Element> {
  try LanguageModel(vocabulary: vocabulary, context: context, width: width, heads: heads, layers: layers)
}

/// Embeddings, then ``Block``s on a residual stream, a last ``LayerNorm``, and a linear layer that gives each token of
/// the vocabulary a logit. After Vaswani et al. 2017, in the form of GPT-2 (Radford et al. 2019), whose weights start
/// with a normal distribution of deviation 0.02, or of that divided by `√(2 layers)` where a branch writes to the stream.
///
/// The output layer has weights of its own. GPT-2 shares them with the token embedding, whose gradient is complete only
/// at the very end of the backward pass; unshared, the largest gradient is the first to leave.
public final class LanguageModel<Element: Scalar>: Model {
  public let vocabulary: Int
  public let context: Int

  private let parameters = Parameters<Element>()
  private let workspace = Workspace<Element>()
  private let embedding: Embedding<Element>
  private let blocks: [Block<Element>]
  private let norm: LayerNorm<Element>
  private let head: Linear<Element>

  private let stream: Workspace<Element>.Rows
  private let normed: Workspace<Element>.Rows
  private let logits: Workspace<Element>.Rows
  private let streamGradient: Workspace<Element>.Rows
  private let scratch: BlockScratch<Element>

  init(vocabulary: Int, context: Int, width: Int, heads: Int, layers: Int) throws(ModelError) {
    guard vocabulary > 0, context > 0, width > 0, heads > 0, layers >= 0 else {
      throw ModelError(
        "a language model needs a vocabulary (\(vocabulary)), a context (\(context)), a width (\(width)) and heads "
          + "(\(heads)) of at least 1, and layers (\(layers)) of at least 0")
    }
    guard width % heads == 0 else {
      throw ModelError("\(heads) heads do not divide a width of \(width); choose a width that is a multiple of \(heads)")
    }
    self.vocabulary = vocabulary
    self.context = context

    let deviation = 0.02
    let branchDeviation = deviation / Double(max(2 * layers, 1)).squareRoot()
    let (parameters, workspace) = (parameters, workspace)
    let scratch = BlockScratch(width: width, context: context, workspace)
    self.scratch = scratch
    embedding = Embedding(
      vocabulary: vocabulary, context: context, width: width, deviation: deviation, in: parameters)
    blocks = (0..<layers).map { index in
      Block(
        "blocks.\(index)", width: width, heads: heads, context: context, deviation: deviation,
        branchDeviation: branchDeviation, in: parameters, workspace, scratch)
    }
    norm = LayerNorm("norm", width: width, in: parameters, workspace)
    head = Linear(
      "head", inputs: width, outputs: vocabulary, deviation: deviation, hasBias: false, in: parameters)
    stream = workspace.rows(of: width)
    normed = workspace.rows(of: width)
    logits = workspace.rows(of: vocabulary)
    streamGradient = workspace.rows(of: width)
  }

  public var definitions: [ParameterDefinition] { parameters.definitions }

  public func bind(values: [UnsafeMutablePointer<Element>], gradients: [UnsafeMutablePointer<Element>]) {
    parameters.bind(values: values, gradients: gradients)
  }

  public func initialize(seed: UInt64) { parameters.initialize(seed: seed) }

  // Specialised, as callers hold an `any Model`: see the classifier.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  public func train(
    _ batch: Batch, scale: Double, forwardEnded: () -> Void, gradientReady: (Int) throws -> Void
  ) throws -> Double {
    let (tokens, length) = try tokens(of: batch)
    let logits = forward(tokens, length: length)
    let result = CrossEntropy.score(logits, batch.targets, gradientScale: scale)
    forwardEnded()

    let gradient = streamGradient.matrix(tokens.count)
    gradient.contiguous.update(repeating: 0)
    // The last norm's gradient goes through scratch that the blocks only need after it.
    let branch = scratch.branch.matrix(tokens.count)
    try head.backward(normed.matrix(tokens.count), logits, into: branch, ready: gradientReady)
    try norm.backward(branch, addingTo: gradient, ready: gradientReady)
    for block in blocks.reversed() { try block.backward(gradient, length: length, ready: gradientReady) }
    try embedding.backward(tokens, length: length, gradient, ready: gradientReady)
    return result.lossSum
  }

  @specialized(where Element == Float)
  @specialized(where Element == Double)
  public func evaluate(_ batch: Batch) throws -> Evaluation {
    let (tokens, length) = try tokens(of: batch)
    return CrossEntropy.score(forward(tokens, length: length), batch.targets)
  }

  /// What the model expects to follow `tokens`.
  ///
  /// - Parameter tokens: From 1 to `context` of them.
  /// - Returns: A logit for each token of the vocabulary.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  func logits(after tokens: [Int32]) -> [Element] {
    let logits = forward(tokens, length: tokens.count)
    return Array(UnsafeBufferPointer(start: logits.row(logits.rows - 1), count: vocabulary))
  }

  /// - Returns: The logits, `[rows * length, vocabulary]`.
  func forward(_ tokens: [Int32], length: Int) -> Matrix<Element> {
    workspace.prepare(positions: tokens.count)
    let stream = stream.matrix(tokens.count)
    let (normed, logits) = (normed.matrix(tokens.count), logits.matrix(tokens.count))
    embedding.forward(tokens, length: length, into: stream)
    for block in blocks { block.forward(stream, length: length) }
    norm.forward(stream, into: normed)
    head.forward(normed, into: logits)
    return logits
  }

  private func tokens(of batch: Batch) throws(ModelError) -> (tokens: [Int32], length: Int) {
    guard case .tokens(let tokens) = batch.inputs else {
      throw ModelError("a language model was given features; make the batch with Batch(tokens:targets:rows:)")
    }
    let length = tokens.count / max(batch.rows, 1)
    guard tokens.count == batch.rows * length, length <= context, batch.targets.count == tokens.count else {
      throw ModelError(
        "a batch of \(batch.rows) rows has \(tokens.count) tokens and \(batch.targets.count) targets; "
          + "the model takes equal numbers of both, and as many in each row, at most \(context)")
    }
    try check(tokens, below: vocabulary, "token")
    try check(batch.targets, below: vocabulary, "target")
    return (tokens, length)
  }
}
