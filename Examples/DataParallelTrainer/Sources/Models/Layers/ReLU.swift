/// `max(x, 0)`: Nair, Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.
enum ReLU {
  static func forward<Element: Scalar>(inPlace values: UnsafeMutableBufferPointer<Element>) {
    for index in values.indices { values[index] = max(values[index], 0) }
  }

  /// `gradient` comes in as that of the outputs, and leaves as that of the inputs.
  static func backward<Element: Scalar>(
    outputs: UnsafeMutableBufferPointer<Element>, gradient: UnsafeMutableBufferPointer<Element>
  ) {
    for index in outputs.indices where outputs[index] <= 0 { gradient[index] = 0 }
  }
}
