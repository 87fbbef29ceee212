import TuttiSystem
import TuttiTransport

/// Memory of a fixed number of elements, reference-counted, for operations that outlive the call that starts them.
///
/// A started operation keeps the buffer alive until it ends. Between the start and the end of the wait its elements are the
/// operation's: do not read or write them.
///
/// A buffer of ``Communicator/allocate(_:count:repeating:)`` is registered memory; others are ordinary memory.
///
/// It is `Sendable` though its elements can be written from any thread, because an operation does just that: the
/// library's threads write what a task or another thread then reads. The compiler does not check the order of these
/// accesses; what orders them is the end of the operation (``Work/wait()``, ``Work/finish()``), or whatever the program
/// has between its own threads.
public final class TuttiBuffer<Element: TuttiElement>: @unchecked Sendable {
  // @unchecked: whoever shares a buffer orders the accesses, as with any memory; the object owns the memory until deinit.

  /// The elements: page-aligned, `count` of them, initialised. The pointer does not keep the buffer alive; ``span`` and
  /// ``mutableSpan`` do.
  public let pointer: UnsafeMutableBufferPointer<Element>
  /// Where the memory is from; nil for ordinary memory.
  private let arena: RegisteredMemory?

  /// Whether peers read and write this memory in place, through shared memory or RDMA, in calls of the communicator that
  /// allocated it.
  public var isRegistered: Bool { arena != nil }

  /// Elements.
  public var count: Int { pointer.count }

  /// Makes ordinary memory.
  ///
  /// A negative count traps, as it does in `Array(repeating:count:)`. Calls on a ``Communicator``, `allocate` among them,
  /// throw instead.
  ///
  /// - Parameters:
  ///   - count: Elements, not negative; may be 0.
  ///   - value: The initial value of each.
  public init(count: Int, repeating value: Element) {
    precondition(count >= 0, "a buffer cannot have \(count) elements")
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, count * MemoryLayout<Element>.stride), alignment: 4096)
    pointer = Self.initialized(memory, count, value)
    arena = nil
  }

  /// Makes registered memory, from an arena.
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

  /// Makes ordinary memory with a copy of a collection's elements.
  public convenience init(_ elements: some Collection<Element>) where Element: ExpressibleByIntegerLiteral {
    self.init(count: elements.count, repeating: 0)
    for (index, element) in elements.enumerated() { pointer[index] = element }
  }

  deinit {
    let memory = UnsafeMutableRawPointer(pointer.baseAddress!)
    guard let arena else { return memory.deallocate() }
    arena.deallocate(memory, bytes: pointer.count * MemoryLayout<Element>.stride)
  }

  /// The element at an index.
  ///
  /// - Parameter index: In `0..<count`.
  public subscript(index: Int) -> Element {
    get { pointer[index] }
    set { pointer[index] = newValue }
  }

  /// The elements as an array.
  public var elements: [Element] { Array(pointer) }

  // MARK: Access

  /// The elements, to read; the buffer lives at least as long as the span is used.
  public var span: Span<Element> {
    @_lifetime(borrow self)
    get { _overrideLifetime(pointer.span, borrowing: self) }
  }

  /// The elements, to read and write; the buffer lives at least as long as the span is used.
  ///
  /// Unlike an array's, it keeps nobody else out, because a buffer is shared memory: do not use two at a time for the
  /// same elements, nor one during an operation.
  public var mutableSpan: MutableSpan<Element> {
    @_lifetime(borrow self)
    get { _overrideLifetime(pointer.mutableSpan, borrowing: self) }
  }

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
