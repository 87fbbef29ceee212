import TuttiSystem
import TuttiTransport

/// Memory of a fixed number of elements, reference-counted, for operations that outlive the call that starts them.
///
/// A started operation keeps the buffer alive until it ends. Between the start and the end of the wait its elements are the operation's:
/// do not read or write them.
///
/// A buffer of ``Communicator/allocate(_:count:repeating:)`` is registered memory; others are ordinary memory.
public final class TuttiBuffer<Element: TuttiElement>: @unchecked Sendable {
  // @unchecked: whoever shares a buffer orders the accesses, as with any memory; the object owns the memory until deinit.

  /// Page-aligned, `count` initialised elements.
  public let pointer: UnsafeMutableBufferPointer<Element>
  /// Where the memory is from; nil for ordinary memory.
  private let arena: RegisteredMemory?

  /// Whether peers read and write this memory in place, through shared memory or RDMA, in calls of the communicator that allocated it.
  public var isRegistered: Bool { arena != nil }

  /// Elements.
  public var count: Int { pointer.count }

  /// - Parameters:
  ///   - count: Elements; may be 0.
  ///   - value: The initial value of each.
  public init(count: Int, repeating value: Element) {
    precondition(count >= 0, "a buffer cannot have \(count) elements")
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, count * MemoryLayout<Element>.stride), alignment: 4096)
    pointer = Self.initialized(memory, count, value)
    arena = nil
  }

  /// Memory of an arena.
  ///
  /// - Throws: `.resources`.
  init(count: Int, repeating value: Element, in arena: RegisteredMemory) throws(FailureReport) {
    let memory = try arena.allocate(bytes: count * MemoryLayout<Element>.stride)
    pointer = Self.initialized(memory, count, value)
    self.arena = arena
  }

  private static func initialized(
    _ memory: UnsafeMutableRawPointer, _ count: Int, _ value: Element
  ) -> UnsafeMutableBufferPointer<Element> {
    let elements = memory.bindMemory(to: Element.self, capacity: count)
    elements.initialize(repeating: value, count: count)
    return UnsafeMutableBufferPointer(start: elements, count: count)
  }

  /// Copies the elements of a sequence.
  public convenience init(_ elements: some Collection<Element>) where Element: ExpressibleByIntegerLiteral {
    self.init(count: elements.count, repeating: 0)
    for (index, element) in elements.enumerated() { pointer[index] = element }
  }

  deinit {
    let memory = UnsafeMutableRawPointer(pointer.baseAddress!)
    guard let arena else { return memory.deallocate() }
    arena.deallocate(memory, bytes: pointer.count * MemoryLayout<Element>.stride)
  }

  /// - Parameter index: In `0..<count`.
  public subscript(index: Int) -> Element {
    get { pointer[index] }
    set { pointer[index] = newValue }
  }

  /// The elements as an array.
  public var elements: [Element] { Array(pointer) }

  // MARK: Access

  /// Calls `body` with the elements.
  public func withUnsafeBufferPointer<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeBufferPointer(pointer))
  }

  /// Calls `body` with the elements, which it may write.
  public func withUnsafeMutableBufferPointer<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(pointer)
  }
}
