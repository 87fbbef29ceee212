import ArgumentParser

/// What a run is made of: the options with every default filled in and every value checked.
///
/// Everything that can be known to be wrong before a rank starts is refused when this is made.
struct TrainConfiguration: Sendable {
  var model: ModelKind
  var element: ElementKind
  var seed: UInt64
  var length: Length
  /// Samples of all ranks together in one step.
  var batch: Int
  var accumulate: Int
  var optimizer: OptimizerKind
  var learningRate: Double
  var momentum: Double
  var nesterov: Bool
  var weightDecay: Double
  /// nil for the default, which follows from the number of steps.
  var warmup: Int?
  /// 0 for never.
  var clipNorm: Double
  var hidden: [Int]
  var width: Int
  var layers: Int
  var heads: Int
  var context: Int
  var overlaps: Bool
  var shards: Bool
  var checkpoint: String?
  var checkpointEvery: Int?
  var checkpointKeep: Int
  var resumes: Bool
  var data: String?
  var output: String?
  var checkReplicasEvery: Int
  var evaluateEvery: Int?
  var targetAccuracy: Double?
  var injection: Injection?

  enum Length: Sendable, Equatable {
    case steps(Int)
    case epochs(Int)
  }

  init(_ options: TrainOptions) throws {
    model = options.model
    element = options.dtype
    seed = options.seed
    length =
      options.steps.map(Length.steps) ?? options.epochs.map(Length.epochs) ?? (model == .digits ? .epochs(40) : .steps(500))
    batch = options.batch ?? 32
    accumulate = options.accumulate
    optimizer = options.optimizer ?? (model == .digits ? .sgd : .adamw)
    learningRate = options.learningRate ?? (optimizer == .sgd ? 0.1 : 0.003)
    momentum = options.momentum ?? 0.9
    nesterov = options.nesterov
    weightDecay = options.weightDecay ?? (optimizer == .sgd ? 0.002 : 0.1)
    warmup = options.warmup
    clipNorm = options.clipNorm ?? (model == .digits ? 0 : 1)
    hidden = try Self.sizes(options.hidden ?? "256,128")
    width = options.width ?? 128
    layers = options.layers ?? 3
    heads = options.heads ?? 4
    context = options.context ?? 64
    overlaps = options.overlap
    shards = options.zero
    checkpoint = options.checkpoint
    checkpointEvery = options.checkpointEvery
    checkpointKeep = options.checkpointKeep
    resumes = options.resume
    data = options.data
    output = options.output
    checkReplicasEvery = options.checkReplicas
    evaluateEvery = options.evaluateEvery
    targetAccuracy = options.targetAccuracy
    injection = try options.inject.map(Injection.init)
    try checkModel(options)
    try checkNumbers(options)
    try checkFolders()
  }

  /// The steps of the whole run, and of its warm-up.
  func steps(stepsPerEpoch: Int) -> Int {
    switch length {
    case .steps(let count): count
    case .epochs(let count): count * stepsPerEpoch
    }
  }

  func warmup(steps: Int) -> Int { min(warmup ?? min(50, steps / 10), steps) }

  func checkpointInterval(steps: Int) -> Int { checkpointEvery ?? max(1, steps / 10) }

  func evaluationInterval(stepsPerEpoch: Int) -> Int { evaluateEvery ?? (model == .digits ? 5 * stepsPerEpoch : 100) }

  /// What must be equal on all ranks, by the names of the options.
  var settings: [(name: String, value: String)] {
    [
      ("--model", model.rawValue), ("--dtype", element.rawValue), ("--seed", "\(seed)"),
      ("--steps or --epochs", "\(length)"),
      ("--batch", "\(batch)"), ("--accumulate", "\(accumulate)"), ("--optimizer", optimizer.rawValue),
      ("--learning-rate", "\(learningRate)"), ("--momentum", "\(momentum)"), ("--nesterov", "\(nesterov)"),
      ("--weight-decay", "\(weightDecay)"), ("--warmup", warmup.map(String.init) ?? "default"),
      ("--clip-norm", "\(clipNorm)"),
      ("--hidden", "\(hidden)"), ("--width", "\(width)"), ("--layers", "\(layers)"), ("--heads", "\(heads)"),
      ("--context", "\(context)"), ("--overlap", "\(overlaps)"), ("--zero", "\(shards)"),
      ("--checkpoint", checkpoint == nil ? "not given" : "given"),
      ("--checkpoint-every", checkpointEvery.map(String.init) ?? "default"), ("--resume", "\(resumes)"),
      ("--output", output == nil ? "not given" : "given"), ("--check-replicas", "\(checkReplicasEvery)"),
      ("--evaluate-every", evaluateEvery.map(String.init) ?? "default"),
    ]
  }

  /// The settings that a checkpoint keeps for people to read.
  var hyperParameters: [String: String] {
    Dictionary(
      uniqueKeysWithValues: [
        ("batch", "\(batch)"), ("optimizer", optimizer.rawValue), ("learningRate", "\(learningRate)"),
        ("momentum", "\(momentum)"),
        ("nesterov", "\(nesterov)"), ("weightDecay", "\(weightDecay)"), ("clipNorm", "\(clipNorm)"), ("length", "\(length)"),
        ("accumulate", "\(accumulate)"),
      ])
  }

  // MARK: Checks

  private static func sizes(_ text: String) throws -> [Int] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let sizes = parts.compactMap { Int($0) }
    guard sizes.count == parts.count, sizes.allSatisfy({ (1...65_536).contains($0) }) else {
      throw ValidationError("--hidden '\(text.prefix(64))': must be sizes from 1 to 65536, such as 128 or 128,64.")
    }
    return sizes
  }

  private func checkModel(_ options: TrainOptions) throws {
    let foreign: [(name: String, isGiven: Bool)] =
      model == .digits
      ? [
        ("--width", options.width != nil), ("--layers", options.layers != nil), ("--heads", options.heads != nil),
        ("--context", options.context != nil),
      ]
      : [("--hidden", options.hidden != nil), ("--target-accuracy", options.targetAccuracy != nil)]
    for option in foreign where option.isGiven {
      throw ValidationError("\(option.name) is not for --model \(model.rawValue): leave it out.")
    }
    if optimizer != .sgd, options.momentum != nil || nesterov {
      throw ValidationError("--momentum and --nesterov are for --optimizer sgd: leave them out.")
    }
    if nesterov, momentum == 0 { throw ValidationError("--nesterov needs a --momentum above 0.") }
    try check("--width", width, in: 1...16_384)
    try check("--layers", layers, in: 1...1000)
    try check("--heads", heads, in: 1...1024)
    try check("--context", context, in: 1...65_536)
    guard width % heads == 0 else {
      throw ValidationError("--heads \(heads): must divide the --width, which is \(width).")
    }
    if options.dtype == .float64, options.job.wireDtype != "float32" {
      throw ValidationError("--wire-dtype \(options.job.wireDtype) is for --dtype float32: leave one of them out.")
    }
  }

  private func checkNumbers(_ options: TrainOptions) throws {
    if options.steps != nil, options.epochs != nil {
      throw ValidationError("--steps and --epochs exclude each other: give one of them.")
    }
    try check("--steps", options.steps, in: 1...1_000_000_000)
    try check("--epochs", options.epochs, in: 1...1_000_000)
    try check("--batch", batch, in: 1...16_777_216)
    try check("--accumulate", accumulate, in: 1...65_536)
    try check("--learning-rate", learningRate, in: 0...1000)
    try check("--momentum", momentum, in: 0...0.9999)
    try check("--weight-decay", weightDecay, in: 0...1000)
    try check("--warmup", warmup, in: 0...1_000_000_000)
    try check("--clip-norm", clipNorm, in: 0...1e30)
    try check("--checkpoint-every", checkpointEvery, in: 1...1_000_000_000)
    try check("--checkpoint-keep", checkpointKeep, in: 1...1_000_000)
    try check("--check-replicas", checkReplicasEvery, in: 0...1_000_000_000)
    try check("--evaluate-every", evaluateEvery, in: 1...1_000_000_000)
    try check("--target-accuracy", targetAccuracy, in: 0...1)
  }

  private func checkFolders() throws {
    for (name, value) in [("--checkpoint", checkpoint), ("--data", data), ("--output", output)] where value == "" {
      throw ValidationError("\(name): must name a folder.")
    }
    guard checkpoint == nil else { return }
    if resumes { throw ValidationError("--resume needs the --checkpoint folder to go on from.") }
    if checkpointEvery != nil { throw ValidationError("--checkpoint-every needs a --checkpoint folder.") }
  }
}

/// Something that goes wrong on purpose, for tests of what then happens.
enum Injection: Sendable, Equatable {
  /// The gradient of a parameter gets a value that is not a number.
  case nan(rank: Int, step: Int, parameter: Int)
  /// The process ends by SIGKILL before its part of the step.
  case kill(rank: Int, step: Int)

  init(_ text: String) throws {
    let parts = text.split(separator: ":")
    let numbers = parts.dropFirst().compactMap { Int($0) }
    switch (parts.first, numbers.count) {
    case ("nan", 3): self = .nan(rank: numbers[0], step: numbers[1], parameter: numbers[2])
    case ("kill", 2): self = .kill(rank: numbers[0], step: numbers[1])
    default: throw ValidationError("--inject '\(text)': must be nan:RANK:STEP:PARAMETER or kill:RANK:STEP.")
    }
  }
}
