// How every collective call is run or started, and how arrays become memory.

import TuttiEngine
import TuttiSystem

extension Communicator {
  /// Runs a call to its end on this thread.
  @inline(__always)
  func run(_ call: CollectiveCall) throws(TuttiError) {
    do throws(FailureReport) {
      var request = try request(call)
      if strictCheck != nil { try agree(on: &request) }
      try engine.run(request)
    } catch { throw TuttiError(error) }
  }

  /// Starts a call, which keeps `owner` alive until it ends.
  @inline(__always)
  func start(_ call: CollectiveCall, owner: AnyObject? = nil) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      var request = try request(call)
      if strictCheck != nil { try agree(on: &request) }
      return Work(communicator: self, number: try engine.begin(request, owner: owner))
    } catch { throw TuttiError(error) }
  }

  /// Under the strict check: returns once all ranks have said that they are about to make the same call. Takes of the
  /// call's time.
  @inline(never)
  private func agree(on request: inout Request) throws(FailureReport) {
    request.limit = engine.begun(request.limit)
    try strictCheck?.agree(on: request, of: self)
  }

  /// An array of `count` elements that `body` writes.
  func makeArray<Element: TuttiElement>(
    count: Int, _ body: (UnsafeMutableRawPointer) throws(TuttiError) -> Void
  ) throws(TuttiError) -> [Element] {
    try checkLayout(Element.self)
    // The standard library's closures lose the error's type.
    var failure: TuttiError?
    let result = [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      do throws(TuttiError) {
        try body(Self.address(UnsafeMutableRawBufferPointer(buffer)))
        initializedCount = count
      } catch { failure = error }
    }
    if let failure { throw failure }
    return result
  }

  /// Calls `body` with the elements' memory.
  func withBytes<Element: TuttiElement>(
    _ values: [Element], _ body: (UnsafeRawPointer) throws(TuttiError) -> Void
  ) throws(TuttiError) {
    try checkLayout(Element.self)
    try values.withUnsafeBytes { bytes -> Result<Void, TuttiError> in
      do throws(TuttiError) {
        return .success(try body(bytes.baseAddress ?? UnsafeRawPointer(Self.nowhere)))
      } catch { return .failure(error) }
    }.get()
  }

  /// Calls `body` with the elements' memory.
  func withMutableBytes<Element: TuttiElement>(
    _ values: inout [Element], _ body: (UnsafeMutableRawPointer) throws(TuttiError) -> Void
  ) throws(TuttiError) {
    try checkLayout(Element.self)
    try values.withUnsafeMutableBytes { bytes -> Result<Void, TuttiError> in
      do throws(TuttiError) { return .success(try body(Self.address(bytes))) } catch { return .failure(error) }
    }.get()
  }

  static func address(_ bytes: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawPointer { bytes.baseAddress ?? nowhere }

  /// The address of no elements: an empty collection has none. Nothing is read or written there.
  static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped }

  /// Elements of each rank's block of `count`.
  func block(of count: Int) throws(TuttiError) -> Int {
    if count % rankCount == 0 { return count / rankCount }
    throw TuttiError(
      refused(
        "\(count) elements cannot be divided into \(rankCount) equal blocks",
        "Give a multiple of \(rankCount), or a count for each rank"))
  }
}

/// Two buffers that one operation keeps alive.
final class BufferPair: Sendable {
  private let buffers: (any Sendable & AnyObject, any Sendable & AnyObject)

  init(_ first: any Sendable & AnyObject, _ second: any Sendable & AnyObject) { buffers = (first, second) }
}
