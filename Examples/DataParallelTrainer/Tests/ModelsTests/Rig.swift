import Foundation
import Testing

@testable import Models

/// A new seed each time; `TUTTI_TEST_SEED` repeats that of a failure, which prints it.
func testSeed() -> UInt64 {
  ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
}

/// Memory that lives as long as a test.
final class Memory<Element: Scalar> {
  private var pointers: [UnsafeMutablePointer<Element>] = []

  deinit { for pointer in pointers { pointer.deallocate() } }

  func zeros(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
    let pointer = UnsafeMutablePointer<Element>.allocate(capacity: count)
    pointer.initialize(repeating: 0, count: count)
    pointers.append(pointer)
    return UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  func zeros(rows: Int, columns: Int) -> Matrix<Element> {
    Matrix(zeros(rows * columns).baseAddress!, rows: rows, columns: columns)
  }

  func normal(rows: Int, columns: Int, _ random: inout RandomNumbers) -> Matrix<Element> {
    let matrix = zeros(rows: rows, columns: columns)
    for index in matrix.contiguous.indices { matrix.contiguous[index] = Element(random.nextNormal()) }
    return matrix
  }
}

extension Matrix {
  func copy(_ other: Matrix) {
    for index in contiguous.indices { contiguous[index] = other.contiguous[index] }
  }
}

/// A model with memory for its values and gradients.
final class Rig<Element: Scalar> {
  let model: any Model<Element>
  let values: [UnsafeMutableBufferPointer<Element>]
  let gradients: [UnsafeMutableBufferPointer<Element>]
  private let memory = Memory<Element>()

  init(_ model: any Model<Element>, seed: UInt64) {
    self.model = model
    values = model.definitions.map { [memory] in memory.zeros($0.count) }
    gradients = model.definitions.map { [memory] in memory.zeros($0.count) }
    model.bind(values: values.map { $0.baseAddress! }, gradients: gradients.map { $0.baseAddress! })
    model.initialize(seed: seed)
  }

  /// Gives norms and biases values other than 1 and 0, and weights of a size that makes all of a model take part.
  func scatter(seed: UInt64) {
    var random = RandomNumbers(seed: seed)
    for tensor in values {
      for index in tensor.indices { tensor[index] += Element(0.3 * random.nextNormal()) }
    }
  }

  @discardableResult
  func train(_ batch: Batch, scale: Double) throws -> Double {
    try model.train(batch, scale: scale, forwardEnded: {}, gradientReady: { _ in })
  }

  func zeroGradients() {
    for gradient in gradients { gradient.update(repeating: 0) }
  }

  /// Plain gradient descent on the mean loss of one batch; returns the last mean.
  func descend(_ batch: Batch, rate: Double, steps: Int) throws -> Double {
    var loss = 0.0
    for _ in 0..<steps {
      zeroGradients()
      loss = try train(batch, scale: 1 / Double(batch.targets.count)) / Double(batch.targets.count)
      for (value, gradient) in zip(values, gradients) {
        for index in value.indices { value[index] -= Element(rate) * gradient[index] }
      }
    }
    return loss
  }

  var gradientNumbers: [Double] { gradients.flatMap { $0.map(Double.init) } }
  var valueNumbers: [Double] { values.flatMap { $0.map(Double.init) } }
}

func smallClassifier<Element: Scalar>(_: Element.Type = Element.self, seed: UInt64) throws -> Rig<Element> {
  Rig(try makeDigitsClassifier(Element.self, inputs: 6, hidden: [9, 5], classes: 4), seed: seed)
}

func smallLanguageModel<Element: Scalar>(_: Element.Type = Element.self, seed: UInt64) throws -> Rig<Element> {
  Rig(try makeLanguageModel(Element.self, vocabulary: 7, context: 5, width: 8, heads: 2, layers: 2), seed: seed)
}

func imageBatch(rows: Int, seed: UInt64) -> Batch {
  var random = RandomNumbers(seed: seed)
  return Batch(
    features: (0..<rows * 6).map { _ in Float(random.nextUniform()) },
    targets: (0..<rows).map { _ in Int32.random(in: 0..<4, using: &random) }, rows: rows)
}

func textBatch(rows: Int, length: Int = 5, seed: UInt64) -> Batch {
  var random = RandomNumbers(seed: seed)
  func tokens() -> [Int32] { (0..<rows * length).map { _ in Int32.random(in: 0..<7, using: &random) } }
  return Batch(tokens: tokens(), targets: tokens(), rows: rows)
}

/// The two models under test, with batches made for them.
enum Kind: String, CaseIterable, Sendable {
  case classifier
  case languageModel

  func rig<Element: Scalar>(_: Element.Type = Element.self, seed: UInt64) throws -> Rig<Element> {
    switch self {
    case .classifier: try smallClassifier(seed: seed)
    case .languageModel: try smallLanguageModel(seed: seed)
    }
  }

  func batch(rows: Int, seed: UInt64) -> Batch {
    switch self {
    case .classifier: imageBatch(rows: rows, seed: seed)
    case .languageModel: textBatch(rows: rows, seed: seed)
    }
  }
}

/// The largest difference between two lists of numbers, relative to the largest number.
func largestDifference(_ a: [Double], _ b: [Double]) -> Double {
  precondition(a.count == b.count)
  if a.contains(where: \.isNaN) || b.contains(where: \.isNaN) { return .infinity }
  let size = zip(a, b).map { max(abs($0), abs($1)) }.max() ?? 0
  return (zip(a, b).map { abs($0 - $1) }.max() ?? 0) / max(size, .leastNormalMagnitude)
}

/// Compares `gradient`, from a backward pass, with central differences of `objective` by `values`.
///
/// Each difference is taken with two steps and the better one counts: a step that crosses the kink of a ReLU misleads,
/// and a hundredth of it does not cross.
func gradientError(
  _ gradient: [Double], of objective: () throws -> Double, by values: UnsafeMutableBufferPointer<Double>
) rethrows -> Double {
  var numeric: [Double] = []
  for index in values.indices {
    let value = values[index]
    var candidates: [Double] = []
    for step in [1e-5, 1e-7] {
      values[index] = value + step
      let above = try objective()
      values[index] = value - step
      candidates.append((above - (try objective())) / (2 * step))
    }
    values[index] = value
    numeric.append(candidates.min { abs($0 - gradient[index]) < abs($1 - gradient[index]) }!)
  }
  return largestDifference(gradient, numeric)
}
