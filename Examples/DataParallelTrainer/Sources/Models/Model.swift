/// What the outside needs to know about one parameter tensor of a model.
public struct ParameterDefinition: Sendable, Equatable {
  /// Where it is in the model, such as `blocks.3.attention.qkv.weight`.
  public let name: String
  /// Row-major.
  public let shape: [Int]
  /// Whether weight decay applies: to matrices, and not to biases and the parameters of normalisations, which have
  /// few elements and little to overfit with.
  public let decays: Bool
  public var count: Int { shape.reduce(1, *) }
}

/// Rows (images or pieces of text) with the class that is right for each of their positions.
public struct Batch: Sendable {
  enum Inputs: Sendable {
    case features([Float])
    case tokens([Int32])
  }

  let inputs: Inputs
  public let targets: [Int32]
  public let rows: Int

  /// - Parameters:
  ///   - features: Shape `[rows, inputs]`; pixels in 0...1, say.
  ///   - targets: One class for each row.
  ///   - rows: May be 0: a rank that gets nothing of a small batch still takes part.
  public init(features: [Float], targets: [Int32], rows: Int) {
    inputs = .features(features)
    self.targets = targets
    self.rows = rows
  }

  /// - Parameters:
  ///   - tokens: Shape `[rows, length]`, with `length` at most the model's context.
  ///   - targets: The token that follows, for each of `tokens`.
  ///   - rows: May be 0.
  public init(tokens: [Int32], targets: [Int32], rows: Int) {
    inputs = .tokens(tokens)
    self.targets = targets
    self.rows = rows
  }
}

/// How well a model did on one batch.
public struct Evaluation: Sendable, Equatable {
  /// Cross-entropy in nats, summed over the targets.
  public var lossSum: Double
  /// The number of targets that the model held to be the most likely class.
  public var correct: Int
  public var targets: Int

  public init(lossSum: Double = 0, correct: Int = 0, targets: Int = 0) {
    self.lossSum = lossSum
    self.correct = correct
    self.targets = targets
  }

  public static func += (total: inout Evaluation, other: Evaluation) {
    total.lossSum += other.lossSum
    total.correct += other.correct
    total.targets += other.targets
  }
}

/// A model that trains by gradients. It computes, and knows nothing of ranks: parameters and gradients lie in memory of
/// the caller, and the caller hears of each gradient as soon as it is complete, to send it on its way while the rest of
/// the backward pass goes on.
///
/// Equal values and an equal batch give equal bits, on one processor type (see ``useOneThread()``). A model is used by
/// one thread at a time.
public protocol Model<Element>: AnyObject {
  associatedtype Element: Scalar

  /// The parameters, in the order in which the forward pass uses them.
  var definitions: [ParameterDefinition] { get }

  /// Says where values and gradients are, one pointer for each definition: before first use, and again whenever they
  /// have moved. The caller owns the memory and keeps it as long as the model is used.
  func bind(values: [UnsafeMutablePointer<Element>], gradients: [UnsafeMutablePointer<Element>])

  /// Writes the bound values; equal seeds give equal values (in `Float`, those of `Double`, rounded).
  func initialize(seed: UInt64)

  /// One pass forward and backward.
  ///
  /// Gradients are added to the bound memory. A batch of 0 rows adds nothing.
  ///
  /// - Parameters:
  ///   - scale: Gradients are multiplied by it: 1 over the number of targets in the global batch gives the gradients of
  ///     the mean loss.
  ///   - forwardEnded: Called between the passes.
  ///   - gradientReady: Called once for each parameter, by index, in reverse order of ``definitions``, as soon as its
  ///     gradient is complete. If it throws, the pass ends there.
  /// - Returns: The sum of the losses of the batch's targets, in nats, not scaled.
  /// - Throws: ``ModelError`` if the batch does not fit the model, before anything has changed; what `gradientReady`
  ///   throws.
  func train(_ batch: Batch, scale: Double, forwardEnded: () -> Void, gradientReady: (Int) throws -> Void) throws -> Double

  /// One pass forward; gradients stay as they are. Memory grows with the largest batch: give large sets in pieces, and add
  /// up the results.
  ///
  /// - Throws: ``ModelError`` if the batch does not fit the model.
  func evaluate(_ batch: Batch) throws -> Evaluation
}

extension Model {
  /// Elements of all parameters together.
  public var parameterCount: Int { definitions.reduce(0) { $0 + $1.count } }
}

/// A model that cannot be made, or was given a batch it cannot take. The description says what to change.
public struct ModelError: Error, CustomStringConvertible, Equatable {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// Throws unless all `values` are in `0..<count`, so that no layer looks outside its memory.
func check(_ values: [Int32], below count: Int, _ what: String) throws(ModelError) {
  guard let index = values.firstIndex(where: { $0 < 0 || $0 >= count }) else { return }
  throw ModelError("\(what) number \(index) is \(values[index]); the model was made for 0 to \(count - 1)")
}
