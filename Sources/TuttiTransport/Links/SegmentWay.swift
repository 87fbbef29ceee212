/// How a large segment travels between two ranks that share memory.
public enum SegmentWay: UInt8, CaseIterable, Sendable {
  /// Its sender copies it into shared memory, through its core's caches.
  case window
  /// Its sender stores it there past its caches: a core that reads what lies modified in another's caches may wait for it
  /// longer than for memory.
  case streamedWindow
  /// Its receiver copies it from where its sender has it.
  case held
}

/// Some of the ways, in the order of ``SegmentWay``.
public struct SegmentWays: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let window = Self(rawValue: 1 << SegmentWay.window.rawValue)
  public static let streamedWindow = Self(rawValue: 1 << SegmentWay.streamedWindow.rawValue)
  public static let held = Self(rawValue: 1 << SegmentWay.held.rawValue)
  public static let all: Self = [.window, .streamedWindow, .held]

  @inlinable public var count: Int { rawValue.nonzeroBitCount }

  @inlinable public func contains(_ way: SegmentWay) -> Bool { rawValue & 1 << way.rawValue != 0 }

  /// The way at `index` among these. Precondition: there are more than `index`.
  @inlinable public func way(at index: Int) -> SegmentWay {
    var left = rawValue
    for _ in 0..<index { left &= left &- 1 }
    return SegmentWay(rawValue: UInt8(left.trailingZeroBitCount)).unsafelyUnwrapped
  }
}
