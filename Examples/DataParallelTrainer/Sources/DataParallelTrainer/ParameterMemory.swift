import Models
import TuttiTraining

/// The values of a model's parameters. Owns the memory, which is freed with it.
final class ParameterMemory<Element: TrainedElement> {
  let definitions: [ParameterDefinition]
  /// By parameter: shape `[count]`, each at a cache line, zero at first.
  let values: [UnsafeMutableBufferPointer<Element>]

  init(_ definitions: [ParameterDefinition]) {
    self.definitions = definitions
    values = definitions.map { definition in
      let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(1, definition.count) * MemoryLayout<Element>.stride, alignment: 64)
      let elements = bytes.bindMemory(to: Element.self)
      elements.initialize(repeating: 0)
      return UnsafeMutableBufferPointer(rebasing: elements[..<definition.count])
    }
  }

  deinit {
    for buffer in values { UnsafeMutableRawPointer(buffer.baseAddress!).deallocate() }
  }

  /// As Tutti registers them.
  var parameters: [Parameter<Element>] { zip(definitions, values).map { Parameter($0.name, $1) } }

  /// Tells the model where its values and gradients are.
  func bind(_ model: any Model<Element>, _ synchronizer: GradientSynchronizer<Element>) {
    model.bind(
      values: values.map { $0.baseAddress! }, gradients: definitions.indices.map { synchronizer.gradient($0).baseAddress! })
  }
}
