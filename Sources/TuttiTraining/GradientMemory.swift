import Tutti

/// The gradients of one layout, and what of them goes on the wire: registered memory, so that ranks of a host reduce it in place.
///
/// Whoever has a parameter's gradient, and when: its user until it is marked ready, then the conductor until `finish()` has returned.
final class GradientMemory<Element: TrainingElement>: Sendable {
  let layout: BucketLayout
  let gradients: TuttiBuffer<Element>
  /// 16 bits for each element, of the wire type; nil where gradients travel as they are.
  private let wire: TuttiBuffer<BFloat16>?
  private let wireType: DataType?

  /// Elements of a cache line.
  static var alignment: Int { 64 / MemoryLayout<Element>.stride }

  /// All zero.
  init(_ layout: BucketLayout, _ wireType: WireType, _ communicator: Communicator) throws(TuttiError) {
    self.layout = layout
    self.wireType = wireType.dataType
    gradients = try communicator.allocate(count: layout.count, repeating: 0)
    wire = wireType == .full ? nil : try communicator.allocate(count: layout.count, repeating: 0)
  }

  func gradient(_ parameter: Int) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(rebasing: gradients.pointer[layout.ranges[parameter]])
  }

  /// The type that is reduced.
  var reducedType: DataType { wireType ?? Element.dataType }

  /// Where the elements from `offset` on are reduced.
  func reduced(_ offset: Int) -> UnsafeMutableRawPointer {
    if let wire { return UnsafeMutableRawPointer(wire.pointer.baseAddress! + offset) }
    return UnsafeMutableRawPointer(gradients.pointer.baseAddress! + offset)
  }

  /// Makes a parameter's gradient ready for the wire.
  func narrow(_ parameter: Int, scale: Float) {
    guard let wireType else { return }
    let gradient = UnsafeRawPointer(gradient(parameter).baseAddress!).assumingMemoryBound(to: Float.self)
    let range = layout.ranges[parameter]
    ElementLoops.narrow(
      UnsafeBufferPointer(start: gradient, count: range.count), to: reduced(range.lowerBound), wireType, scale: scale)
  }

  /// Takes a result from the wire.
  ///
  /// - Parameter range: Elements of the memory.
  func widen(_ range: Range<Int>) {
    guard let wireType else { return }
    let memory = UnsafeMutableRawPointer(gradients.pointer.baseAddress! + range.lowerBound)
    ElementLoops.widen(
      reduced(range.lowerBound), wireType,
      to: UnsafeMutableBufferPointer(start: memory.assumingMemoryBound(to: Float.self), count: range.count))
  }
}
