/// One block of the language model: attention, then a multi-layer perceptron, each on a branch of its own that reads the
/// residual stream through a ``LayerNorm`` and adds to it (pre-norm, as in GPT-2).
///
/// The stream itself is one matrix that all blocks add to in place; a block keeps only what its branches need again.
struct Block<Element: Scalar> {
  private let attentionNorm: LayerNorm<Element>
  private let qkv: Linear<Element>
  private let attention: Attention<Element>
  private let projection: Linear<Element>
  private let perceptronNorm: LayerNorm<Element>
  private let expansion: Linear<Element>
  private let contraction: Linear<Element>

  private let attentionInput: Workspace<Element>.Rows
  private let queriesKeysValues: Workspace<Element>.Rows
  private let attended: Workspace<Element>.Rows
  private let perceptronInput: Workspace<Element>.Rows
  private let expanded: Workspace<Element>.Rows
  private let activated: Workspace<Element>.Rows
  private let scratch: BlockScratch<Element>

  /// - Parameters:
  ///   - deviation: Of the weights at the start.
  ///   - branchDeviation: Of those that write to the residual stream; smaller, the more branches add up there.
  init(
    _ name: String, width: Int, heads: Int, context: Int, deviation: Double, branchDeviation: Double,
    in parameters: Parameters<Element>, _ workspace: Workspace<Element>, _ scratch: BlockScratch<Element>
  ) {
    func linear(_ part: String, _ inputs: Int, _ outputs: Int, _ deviation: Double) -> Linear<Element> {
      Linear("\(name).\(part)", inputs: inputs, outputs: outputs, deviation: deviation, in: parameters)
    }
    // Registered in the order the forward pass uses them.
    attentionNorm = LayerNorm("\(name).attention.norm", width: width, in: parameters, workspace)
    qkv = linear("attention.qkv", width, 3 * width, deviation)
    projection = linear("attention.projection", width, width, branchDeviation)
    perceptronNorm = LayerNorm("\(name).perceptron.norm", width: width, in: parameters, workspace)
    expansion = linear("perceptron.expansion", width, 4 * width, deviation)
    contraction = linear("perceptron.contraction", 4 * width, width, branchDeviation)

    attention = Attention(heads: heads, width: width, context: context, weightGradient: scratch.weights, workspace)
    attentionInput = workspace.rows(of: width)
    queriesKeysValues = workspace.rows(of: 3 * width)
    attended = workspace.rows(of: width)
    perceptronInput = workspace.rows(of: width)
    expanded = workspace.rows(of: 4 * width)
    activated = workspace.rows(of: 4 * width)
    self.scratch = scratch
  }

  /// Adds to `stream`, `[rows * length, width]`.
  func forward(_ stream: Matrix<Element>, length: Int) {
    let positions = stream.rows
    let (attentionInput, heads) = (attentionInput.matrix(positions), queriesKeysValues.matrix(positions))
    let attended = attended.matrix(positions)
    attentionNorm.forward(stream, into: attentionInput)
    qkv.forward(attentionInput, into: heads)
    attention.forward(heads, length: length, into: attended)
    projection.forward(attended, into: stream, adding: true)

    let perceptronInput = perceptronInput.matrix(positions)
    let (expanded, activated) = (expanded.matrix(positions), activated.matrix(positions))
    perceptronNorm.forward(stream, into: perceptronInput)
    expansion.forward(perceptronInput, into: expanded)
    GELU.forward(expanded.contiguous, into: activated.contiguous)
    contraction.forward(activated, into: stream, adding: true)
  }

  /// `gradient` comes in as that of the stream after the block, and leaves as that of the stream before it.
  func backward(_ gradient: Matrix<Element>, length: Int, ready: (Int) throws -> Void) throws {
    let positions = gradient.rows
    let branch = scratch.branch.matrix(positions)

    let (expanded, activated) = (expanded.matrix(positions), activated.matrix(positions))
    let expandedGradient = scratch.expanded.matrix(positions)
    try contraction.backward(activated, gradient, into: expandedGradient, ready: ready)
    GELU.backward(inputs: expanded.contiguous, gradient: expandedGradient.contiguous)
    try expansion.backward(perceptronInput.matrix(positions), expandedGradient, into: branch, ready: ready)
    try perceptronNorm.backward(branch, addingTo: gradient, ready: ready)

    let headsGradient = scratch.queriesKeysValues.matrix(positions)
    try projection.backward(attended.matrix(positions), gradient, into: branch, ready: ready)
    attention.backward(queriesKeysValues.matrix(positions), length: length, branch, into: headsGradient)
    try qkv.backward(attentionInput.matrix(positions), headsGradient, into: branch, ready: ready)
    try attentionNorm.backward(branch, addingTo: gradient, ready: ready)
  }
}

/// Gradients inside a block. Blocks run backward one after the other, so all share these.
struct BlockScratch<Element: Scalar> {
  let branch: Workspace<Element>.Rows
  let queriesKeysValues: Workspace<Element>.Rows
  let weights: Workspace<Element>.Rows
  let expanded: Workspace<Element>.Rows

  init(width: Int, context: Int, _ workspace: Workspace<Element>) {
    branch = workspace.rows(of: width)
    queriesKeysValues = workspace.rows(of: 3 * width)
    weights = workspace.rows(of: context)
    expanded = workspace.rows(of: 4 * width)
  }
}
