/// `x Φ(x)`, with Φ the distribution function of the normal distribution, in the approximation
/// `x (1 + tanh u) / 2`, `u = √(2/π) (x + 0.044715 x³)`: Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016.
///
/// Since `(1 + tanh u) / 2` is the logistic function of `2u`, one exponential does, and nothing cancels.
enum GELU {
  static func forward<Element: Scalar>(
    _ inputs: UnsafeMutableBufferPointer<Element>, into outputs: UnsafeMutableBufferPointer<Element>
  ) {
    for index in inputs.indices {
      let x = inputs[index]
      outputs[index] = x * gate(x)
    }
  }

  /// `gradient` comes in as that of the outputs, and leaves as that of the inputs.
  static func backward<Element: Scalar>(
    inputs: UnsafeMutableBufferPointer<Element>, gradient: UnsafeMutableBufferPointer<Element>
  ) {
    for index in inputs.indices {
      let x = inputs[index]
      let gate = gate(x)
      let slope = Element(twoRootTwoOverPi) * (1 + 3 * Element(cubic) * x * x)
      gradient[index] *= gate + x * gate * (1 - gate) * slope
    }
  }

  /// The logistic function of `2u`.
  @inline(__always)
  private static func gate<Element: Scalar>(_ x: Element) -> Element {
    1 / (1 + Element.exp(-Element(twoRootTwoOverPi) * x * (1 + Element(cubic) * x * x)))
  }

  private static let twoRootTwoOverPi = 1.595_769_121_605_730_7
  private static let cubic = 0.044_715
}
