import Glibc
import Models
import TuttiTraining

/// The values of a model's parameters. Owns the memory, which is freed with it.
final class ParameterMemory<Element: TrainedElement> {
  let definitions: [ParameterDefinition]
  /// By parameter: shape `[count]`, each at a cache line, zero at first.
  let values: [UnsafeMutableBufferPointer<Element>]

  /// - Throws: ``CommandFailure`` where there is not enough memory.
  init(_ definitions: [ParameterDefinition]) throws {
    self.definitions = definitions
    var values: [UnsafeMutableBufferPointer<Element>] = []
    for definition in definitions {
      let bytes = max(1, definition.count) * MemoryLayout<Element>.stride
      var memory: UnsafeMutableRawPointer?
      guard posix_memalign(&memory, 64, bytes) == 0, let memory else {
        for buffer in values { free(buffer.baseAddress) }
        throw CommandFailure(
          "there is no memory for the \(bytes) bytes of '\(definition.name)'. Choose a smaller model, or raise the limit (ulimit -v)."
        )
      }
      let elements = memory.bindMemory(to: Element.self, capacity: definition.count)
      elements.initialize(repeating: 0, count: definition.count)
      values.append(UnsafeMutableBufferPointer(start: elements, count: definition.count))
    }
    self.values = values
  }

  deinit {
    for buffer in values { free(buffer.baseAddress) }
  }

  /// The parameters in the form that Tutti registers.
  var parameters: [Parameter<Element>] { zip(definitions, values).map { Parameter($0.name, $1) } }

  /// Tells the model where its values and gradients are.
  func bind(_ model: any Model<Element>, _ synchronizer: GradientSynchronizer<Element>) {
    model.bind(
      values: values.map { $0.baseAddress! }, gradients: definitions.indices.map { synchronizer.gradient($0).baseAddress! })
  }
}
