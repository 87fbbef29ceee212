import Tutti

/// The memory of the gradients of one layout, and of what goes on the wire for them. It is registered, so that ranks of a
/// host reduce it in place.
///
/// A parameter's gradient belongs to its user until it is marked ready, then to the conductor until `finish()` has returned.
final class GradientMemory<Element: TrainingElement>: Sendable {
  let layout: BucketLayout
  let gradients: TuttiBuffer<Element>
  /// 16 bits for each element, of the wire type; nil where gradients travel as they are.
  private let wire: TuttiBuffer<BFloat16>?
  private let wireType: DataType?
  /// The factors for gradients before they are rounded for the wire, and for results after it.
  private let scales: (narrowing: Float, widening: Float)

  /// The number of elements of a cache line.
  static var alignment: Int { 64 / MemoryLayout<Element>.stride }

  /// Allocates the memory, all zero.
  init(_ layout: BucketLayout, _ options: SynchronizerOptions, _ communicator: Communicator) throws(TuttiError) {
    self.layout = layout
    wireType = options.wireType.dataType
    let rankCount = Float(communicator.rankCount)
    scales =
      switch (options.reduction, options.wireType) {
      case (.average, _): (1 / rankCount, 1)
      // A sum of numbers in the range of float16 may be out of its range.
      case (.sum, .float16): (1 / rankCount, rankCount)
      case (.sum, _): (1, 1)
      }
    gradients = try communicator.allocate(count: layout.count, repeating: 0)
    wire = options.wireType == .full ? nil : try communicator.allocate(count: layout.count, repeating: 0)
  }

  func gradient(_ parameter: Int) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(rebasing: gradients.pointer[layout.ranges[parameter]])
  }

  /// The type that is reduced.
  var reducedType: DataType { wireType ?? Element.dataType }

  /// The address at which the elements from `offset` on are reduced.
  func reduced(_ offset: Int) -> UnsafeMutableRawPointer {
    if let wire { return UnsafeMutableRawPointer(wire.pointer.baseAddress! + offset) }
    return UnsafeMutableRawPointer(gradients.pointer.baseAddress! + offset)
  }

  /// The largest magnitude that all ranks may have. For float16 it is below the largest number, because the ranks' parts,
  /// each rounded up, would be too much.
  var largest: Element {
    switch wireType {
    case .float16: Element(Float16.greatestFiniteMagnitude.nextDown)
    case .bfloat16: Element(Float(BFloat16(bitPattern: 0x7F7F)))
    default: .greatestFiniteMagnitude
    }
  }

  /// Makes a parameter's gradient ready for the wire.
  func narrow(_ parameter: Int) {
    guard let wireType else { return }
    let gradient = UnsafeRawPointer(gradient(parameter).baseAddress!).assumingMemoryBound(to: Float.self)
    let range = layout.ranges[parameter]
    ElementLoops.narrow(
      UnsafeBufferPointer(start: gradient, count: range.count), to: reduced(range.lowerBound), wireType,
      scale: scales.narrowing)
  }

  /// Takes a result from the wire.
  ///
  /// - Parameter range: The elements of the memory.
  func widen(_ range: Range<Int>) {
    guard let wireType else { return }
    let memory = UnsafeMutableRawPointer(gradients.pointer.baseAddress! + range.lowerBound)
    let elements = UnsafeMutableBufferPointer(start: memory.assumingMemoryBound(to: Float.self), count: range.count)
    ElementLoops.widen(reduced(range.lowerBound), wireType, to: elements)
    if scales.widening != 1 { ElementLoops.scale(elements, by: Double(scales.widening)) }
  }
}
