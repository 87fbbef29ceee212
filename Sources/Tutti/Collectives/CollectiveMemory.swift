// The memory that calls read and write: arrays, spans, TuttiBuffer, and raw memory with a type.

/// An address, a number of elements, and their type: what every call comes down to.
///
/// For memory whose type is only known when the program runs, such as another library's tensors. It owns nothing: whoever
/// makes a call keeps the memory alive until the call, or its ``Work``, has ended.
@frozen
public struct RawMemory {
  /// nil where a rank has no such memory, such as the output of a reduce on ranks other than the root.
  public let address: UnsafeMutableRawPointer?
  /// Elements.
  public let count: Int
  /// The type of each.
  public let type: DataType

  /// - Parameters:
  ///   - address: Any alignment. What a call writes must be writable, whatever kind of pointer names it here.
  ///   - count: Elements; may be 0.
  ///   - type: The type of each.
  @inlinable
  public init(_ address: UnsafeRawPointer?, count: Int, type: DataType) {
    self.address = UnsafeMutableRawPointer(mutating: address)
    self.count = count
    self.type = type
  }
}

/// Memory that a blocking call reads.
public protocol ReadableMemory: ~Copyable, ~Escapable {
  /// Calls `body` with the memory, which is valid until it returns.
  borrowing func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result
}

/// Memory that a blocking call reads and writes.
public protocol WritableMemory: ReadableMemory, ~Copyable, ~Escapable {
  /// Calls `body` with the memory, which is valid until it returns.
  mutating func withMutableRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result
}

/// Memory that stays where it is, so that it can be used by a call that outlives the one that starts it.
public protocol LastingMemory: ReadableMemory {
  /// Where it is.
  var rawMemory: RawMemory { get }
  /// What a started operation holds so that the memory lives until it ends; nil where that is the caller's business.
  var keeper: AnyObject? { get }
}

extension RawMemory: LastingMemory {
  /// Calls `body` with itself.
  @inlinable
  public func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result { body(self) }
  /// Itself.
  @inlinable public var rawMemory: RawMemory { self }
  /// The caller keeps the memory alive.
  @inlinable public var keeper: AnyObject? { nil }
}

extension TuttiBuffer: LastingMemory {
  /// All of its elements.
  @inlinable public var rawMemory: RawMemory { RawMemory(pointer.baseAddress, count: pointer.count, of: Element.self) }
  /// Itself.
  @inlinable public var keeper: AnyObject? { self }

  /// Calls `body` with the elements; the buffer lives at least until it returns.
  @inlinable
  public borrowing func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withExtendedLifetime(copy self) { body($0.rawMemory) }
  }
}

extension Array: ReadableMemory, WritableMemory where Element: TuttiElement {
  @inlinable
  public borrowing func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withUnsafeBytes { body(RawMemory($0, of: Element.self)) }
  }

  @inlinable
  public mutating func withMutableRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withUnsafeMutableBytes { body(RawMemory(UnsafeRawBufferPointer($0), of: Element.self)) }
  }
}

extension Span: ReadableMemory where Element: TuttiElement {
  @inlinable
  public borrowing func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withUnsafeBytes { body(RawMemory($0, of: Element.self)) }
  }
}

extension MutableSpan: ReadableMemory, WritableMemory where Element: TuttiElement {
  @inlinable
  public borrowing func withRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withUnsafeBytes { body(RawMemory($0, of: Element.self)) }
  }

  @inlinable
  public mutating func withMutableRawMemory<Result>(_ body: (RawMemory) -> Result) -> Result {
    withUnsafeMutableBytes { body(RawMemory(UnsafeRawBufferPointer($0), of: Element.self)) }
  }
}

extension RawMemory {
  /// The memory of elements whose type the compiler knows.
  ///
  /// - Parameters:
  ///   - bytes: Whole elements. What a call writes must be writable.
  ///   - element: Their type. A call refuses one whose size is not that of the ``DataType`` it says it is.
  @inlinable
  public init<Element: TuttiElement>(_ bytes: UnsafeRawBufferPointer, of element: Element.Type) {
    self.init(bytes.baseAddress, count: bytes.count / MemoryLayout<Element>.stride, of: element)
  }

  /// Takes `count` as given, even where it makes no sense: the call refuses it.
  @inlinable
  init<Element: TuttiElement>(_ address: UnsafeRawPointer?, count: Int, of element: Element.Type) {
    // See `Communicator.request` for what becomes of the other count.
    let isSound = MemoryLayout<Element>.stride == Element.dataType.size
    self.init(address, count: isSound ? count : RawMemory.wrongLayout, type: Element.dataType)
  }

  /// A count that stands for elements of another size than their type's. No caller gives it: counts that are wrong by
  /// mistake are just below 0, or an extreme.
  @usableFromInline static var wrongLayout: Int { .min + 0x5457_5454 }
}

/// How a call's data is divided among the ranks.
public enum BlockSizes: Hashable, Sendable {
  /// Every rank has as many elements.
  case equal
  /// Elements of each rank's block, by rank; the same list on every rank. May be 0.
  case each([Int])
}

/// The name of an algorithm, as `collbench list` shows it.
@frozen
public struct AlgorithmName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// nil for the communicator's own choice, which is thus recognised without comparing strings.
  @usableFromInline package let name: String?

  /// The communicator's own choice, by size, ranks and transports.
  @inlinable public static var automatic: AlgorithmName { AlgorithmName(name: nil) }

  /// The algorithm of this name; `auto` stands for ``automatic``. The call that uses it throws when there is none.
  @inlinable
  public init(_ name: String) { self.init(name: name == "auto" ? nil : name) }

  /// The algorithm of this name; `auto` stands for ``automatic``. The call that uses it throws when there is none.
  @inlinable
  public init(stringLiteral name: String) { self.init(name) }

  /// The algorithm of this name, or ``automatic``.
  @inlinable
  package init(_ name: String?) { self.init(name: name == "auto" ? nil : name) }

  @usableFromInline
  init(name: String?) { self.name = name }

  /// The name; `auto` for ``automatic``.
  public var description: String { name ?? "auto" }
}
