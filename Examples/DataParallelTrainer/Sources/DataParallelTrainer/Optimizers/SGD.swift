import TuttiTraining

/// Stochastic gradient descent with momentum: `v = momentum v + g`, `p = p - rate v`; with Nesterov's, `p = p - rate (g +
/// momentum v)`.
///
/// Weight decay adds `decay p` to the gradient of parameters that decay.
/// - SeeAlso: Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning", ICML
///   2013.
struct SGD<Element: TrainedElement>: TrainingRule {
  var learningRate: Double
  /// In 0..<1; with 0 nothing is kept.
  var momentum: Double
  var usesNesterov = false
  var weightDecay: Double
  /// By parameter: whether weight decay applies.
  let decays: [Bool]

  var stateNames: [String] { momentum > 0 ? ["momentum"] : [] }
  var stateCount: Int { momentum > 0 ? 1 : 0 }

  func update(_ piece: ParameterPiece<Element>, step: Int) {
    let decay = Element(decays[piece.parameter] ? weightDecay : 0)
    let (values, gradients) = (piece.values.baseAddress!, piece.gradients.baseAddress!)
    if momentum > 0 {
      Self.descend(
        piece.range.count, values, gradients, piece.states[0].baseAddress!, rate: Element(learningRate),
        momentum: Element(momentum), ahead: usesNesterov, decay: decay)
    } else {
      Self.descend(piece.range.count, values, gradients, rate: Element(learningRate), decay: decay)
    }
  }

  // The loops have no calls and no branches in them, so that the compiler makes vector instructions of them.

  @specialized(where Element == Float)
  @specialized(where Element == Double)
  private static func descend(
    _ count: Int, _ values: UnsafeMutablePointer<Element>, _ gradients: UnsafePointer<Element>,
    _ velocities: UnsafeMutablePointer<Element>, rate: Element, momentum: Element, ahead: Bool, decay: Element
  ) {
    // `rate (g + momentum v)` or `rate v`.
    let (ofGradient, ofVelocity) = ahead ? (rate, rate * momentum) : (0, rate)
    for index in 0..<count {
      let gradient = gradients[index] + decay * values[index]
      let velocity = momentum * velocities[index] + gradient
      velocities[index] = velocity
      values[index] -= ofGradient * gradient + ofVelocity * velocity
    }
  }

  @specialized(where Element == Float)
  @specialized(where Element == Double)
  private static func descend(
    _ count: Int, _ values: UnsafeMutablePointer<Element>, _ gradients: UnsafePointer<Element>, rate: Element, decay: Element
  ) {
    for index in 0..<count { values[index] -= rate * (gradients[index] + decay * values[index]) }
  }
}
