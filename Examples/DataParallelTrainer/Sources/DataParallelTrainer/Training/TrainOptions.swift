import ArgumentParser

/// The options of `train`, as typed. What is not given follows from the model: see ``TrainConfiguration``.
struct TrainOptions: ParsableArguments {
  @Option(help: "digits (images of handwritten digits) or text (a language model of characters).")
  var model = ModelKind.digits

  @OptionGroup(title: "Ranks and communication") var job: JobOptions

  @Flag(inversion: .prefixedNo, help: "Sum gradients while others are still being computed, rather than all at the end.")
  var overlap = true

  @Flag(help: "Each rank keeps the optimizer's state only for its share of the parameters (ZeRO-1).")
  var zero = false

  @Option(help: "float32, or float64 to compare runs.")
  var dtype = ElementKind.float32

  @Option(help: "Where all random numbers come from; equal seeds give equal runs.")
  var seed: UInt64 = 1

  @Option(help: "Optimizer steps. (default: digits 40 epochs; text 500)")
  var steps: Int?

  @Option(help: "How many times to go through the training data, instead of --steps.")
  var epochs: Int?

  @Option(help: "Images or pieces of text in a step, of all ranks together. (default: digits 32; text 32)")
  var batch: Int?

  @Option(
    help: "Pieces that a rank cuts its part of a batch into, to compute one after the other; the ranks sum gradients once.")
  var accumulate = 1

  @Option(help: "sgd or adamw. (default: digits sgd; text adamw)")
  var optimizer: OptimizerKind?

  @Option(
    help: "The highest rate, after the warm-up; it falls to a tenth along half a cosine. (default: sgd 0.1; adamw 0.003)")
  var learningRate: Double?

  @Option(help: "The momentum of sgd. (default: 0.9)")
  var momentum: Double?

  @Flag(help: "Nesterov's momentum, for sgd.")
  var nesterov = false

  @Option(help: "Weight decay of matrices, but not of biases and norms. (default: sgd 0.002; adamw 0.1)")
  var weightDecay: Double?

  @Option(help: "Steps in which the learning rate rises. (default: a tenth of the steps, at most 50)")
  var warmup: Int?

  @Option(help: "Scale gradients down to this norm where theirs is larger; 0 for never. (default: digits 0; text 1)")
  var clipNorm: Double?

  @Option(help: "Digits: sizes of the hidden layers, such as 128 or 256,128. (default: 256,128)")
  var hidden: String?

  @Option(help: "Text: the width of the model: the numbers that stand for each character. (default: 128)")
  var width: Int?

  @Option(help: "Text: transformer blocks. (default: 3)")
  var layers: Int?

  @Option(help: "Text: attention heads, which divide the width. (default: 4)")
  var heads: Int?

  @Option(help: "Text: characters that a prediction can look back on. (default: 64)")
  var context: Int?

  @Option(help: "Write checkpoints to this folder, which all hosts share.")
  var checkpoint: String?

  @Option(help: "Steps from one checkpoint to the next; there is one at the end too. (default: a tenth of the steps)")
  var checkpointEvery: Int?

  @Option(help: "How many of the newest checkpoints stay.")
  var checkpointKeep = 3

  @Flag(help: "Go on from the newest checkpoint, written by any number of ranks.")
  var resume = false

  @Option(
    help:
      "A folder (or file) with data of your own: digits.csv, or a text file *.txt. (default: what comes with the example)")
  var data: String?

  @Option(help: "Write the loss curve, the timeline, a Perfetto trace and the losses to this folder.")
  var output: String?

  @Option(help: "Steps from one comparison of the ranks' parameters to the next; 0 for never.")
  var checkReplicas = 1

  @Option(
    help:
      "Steps from one evaluation on held-out data to the next; one at the end too. (default: digits 5 epochs; text 100)"
  )
  var evaluateEvery: Int?

  @Option(help: "Exit with status 1 when the final accuracy, from 0 to 1, is below this.")
  var targetAccuracy: Double?

  /// Makes something go wrong, for tests: `nan:RANK:STEP:PARAMETER` or `kill:RANK:STEP`.
  @Option(help: .private)
  var inject: String?
}

enum ModelKind: String, ExpressibleByArgument, CaseIterable {
  case digits, text
}

enum ElementKind: String, ExpressibleByArgument, CaseIterable {
  case float32, float64
}

enum OptimizerKind: String, ExpressibleByArgument, CaseIterable {
  case sgd, adamw
}
