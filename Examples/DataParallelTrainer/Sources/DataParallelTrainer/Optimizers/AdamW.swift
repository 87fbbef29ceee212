import Foundation
import TuttiTraining

/// Adam with weight decay that is kept apart from the gradient: `p = p - rate (m / (sqrt(v) + epsilon) + decay p)`, where
/// m and v are running means of the gradient and of its square, corrected for their start at zero.
///
/// - SeeAlso: Kingma & Ba, "Adam", ICLR 2015; Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
struct AdamW<Element: TrainedElement>: TrainingRule {
  var learningRate: Double
  /// How much of the mean, and of the mean square, stays from one step to the next.
  var meanDecay = 0.9
  var squareDecay = 0.99
  var epsilon = 1e-8
  var weightDecay: Double
  /// By parameter: whether weight decay applies.
  let decays: [Bool]

  var stateNames: [String] { ["mean of gradients", "mean of squares"] }
  var stateCount: Int { 2 }

  func update(_ piece: ParameterPiece<Element>, step: Int) {
    let squareCorrection = (1 - pow(squareDecay, Double(step))).squareRoot()
    // Both corrections, taken out of the loop.
    let rate = learningRate / (1 - pow(meanDecay, Double(step))) * squareCorrection
    Self.descend(
      piece.range.count, piece.values.baseAddress!, piece.gradients.baseAddress!, piece.states[0].baseAddress!,
      piece.states[1].baseAddress!, rate: Element(rate), meanDecay: Element(meanDecay), squareDecay: Element(squareDecay),
      epsilon: Element(epsilon * squareCorrection),
      decay: Element(decays[piece.parameter] ? learningRate * weightDecay : 0))
  }

  /// No calls and no branches, so that the compiler makes vector instructions of it.
  @specialized(where Element == Float)
  @specialized(where Element == Double)
  private static func descend(
    _ count: Int, _ values: UnsafeMutablePointer<Element>, _ gradients: UnsafePointer<Element>,
    _ means: UnsafeMutablePointer<Element>, _ squares: UnsafeMutablePointer<Element>, rate: Element, meanDecay: Element,
    squareDecay: Element, epsilon: Element, decay: Element
  ) {
    let (meanShare, squareShare) = (1 - meanDecay, 1 - squareDecay)
    for index in 0..<count {
      let gradient = gradients[index]
      let mean = meanDecay * means[index] + meanShare * gradient
      let square = squareDecay * squares[index] + squareShare * gradient * gradient
      means[index] = mean
      squares[index] = square
      values[index] -= rate * mean / (square.squareRoot() + epsilon) + decay * values[index]
    }
  }
}
