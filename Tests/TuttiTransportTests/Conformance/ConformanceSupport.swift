import Glibc
import Patience
import Testing
import TuttiSystem
import TuttiTransport

/// The seed of this run's random tests. A failing test prints it; `TUTTI_TEST_SEED` replays it.
let testSeed: UInt64 = {
  if let text = getenv("TUTTI_TEST_SEED").map({ String(cString: $0) }), let seed = UInt64(text) { return seed }
  return UInt64.random(in: 1...999_999_999)
}()

/// For every file of these tests.
typealias SeededGenerator = TuttiSystem.SeededGenerator

extension SeededGenerator {
  /// A stream of its own for each list of numbers.
  init(_ values: UInt64...) {
    self.init(seed: values.reduce(0) { ($0 ^ $1) &* 0xD129_0DDF_53E7_2B0D &+ 0x1234_5678_9ABC_DEF1 })
  }
}

/// A test's own failure: a deadline, or something that arrived and should not have.
struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description + " [TUTTI_TEST_SEED=\(testSeed)]" }
}

/// Ends every loop of a test, and lets others run meanwhile: there may be more threads than cores.
struct Deadline {
  private let end: UInt64
  init(seconds: Double = 30) { end = Patience.deadline(seconds: seconds) }

  func check(_ what: @autoclosure () -> String) throws {
    if monotonicNanoseconds() > end { throw TestFailure("waited too long for \(what())") }
    sched_yield()
  }
}

/// Makes progress on all `links` until `condition` holds.
func pump(_ links: Link..., for what: String, until condition: () -> Bool) throws {
  let deadline = Deadline()
  while true {
    for link in links where link.needsProgress { link.progress() }
    if condition() { return }
    try deadline.check(what)
  }
}

/// Makes progress on all `links` for some milliseconds, to give what must not happen its chance.
func settle(_ links: Link..., milliseconds: UInt64 = 20) {
  let end = monotonicNanoseconds() + milliseconds * 1_000_000
  repeat {
    for link in links where link.needsProgress { link.progress() }
  } while monotonicNanoseconds() < end
}

/// The next segment on `lane`, once it is there.
func arrival(_ receiver: Link, _ lane: Int, from sender: Link) throws -> Arrival {
  var found: UnsafePointer<Arrival>?
  try pump(sender, receiver, for: "an arrival on lane \(lane)") {
    found = receiver.peek(lane)
    return found != nil
  }
  return found!.pointee
}

/// Sends as soon as the link takes it, and returns the sequence number.
@discardableResult
func send(
  _ sender: Link, _ lane: Int, to receiver: Link, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool = false,
  call: UInt64 = 7, count: UInt64 = 9
) throws -> UInt64 {
  try pump(sender, receiver, for: "credit on lane \(lane)") { sender.canSend(lane) }
  return sender.send(lane, CallSignature(rawValue: call), count, source, bytes, copied: copied)
}

/// Random bytes that segments take their contents from, so that contents are checked by comparing memory.
final class BytePool: @unchecked Sendable {
  // @unchecked: written by init only; never freed.
  static let shared = BytePool()
  private let bytes: UnsafeMutablePointer<UInt64>
  private static let words = 1 << 17
  private init() {
    bytes = .allocate(capacity: Self.words)
    var generator = SeededGenerator(42)
    for index in 0..<Self.words { bytes[index] = generator.next() }
  }
  /// At least `conformanceSegmentBytesMax` bytes, different for different `key`s, at any alignment.
  func content(_ key: UInt64) -> UnsafeRawPointer {
    var generator = SeededGenerator(key)
    return UnsafeRawPointer(bytes) + Int(generator.next() % UInt64(Self.words * 8 - conformanceSegmentBytesMax))
  }
}

/// Memory of a test, freed at the end of its scope.
final class Scratch: @unchecked Sendable {
  // @unchecked: used by one thread at a time.
  let base: UnsafeMutableRawPointer
  init(_ bytes: Int) {
    base = .allocate(byteCount: max(bytes, 1), alignment: 64)
    memset(base, 0xEE, max(bytes, 1))
  }
  deinit { base.deallocate() }
}

/// Runs both bodies at once, each on a thread of its own, and throws the first error either threw.
func onTwoThreads(_ first: @escaping @Sendable () throws -> Void, _ second: @escaping @Sendable () throws -> Void) throws {
  let threads = try [first, second].map { try TestThread($0) }
  let errors = threads.map { $0.join() }
  for error in errors { if let error { throw error } }
}

/// A thread that is not one of the test library's, so that blocking and spinning on it stalls no other test.
final class TestThread {
  private final class Body {
    let run: @Sendable () throws -> Void
    var error: (any Error)?
    init(_ run: @escaping @Sendable () throws -> Void) { self.run = run }
  }
  private let body: Body
  private var thread = pthread_t()

  init(_ run: @escaping @Sendable () throws -> Void) throws {
    body = Body(run)
    let argument = Unmanaged.passRetained(body).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { argument in
        let body = Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
        do { try body.run() } catch { body.error = error }
        return nil
      }, argument)
    if code != 0 { throw TestFailure("pthread_create: \(errorText(code))") }
  }

  func join() -> (any Error)? {
    pthread_join(thread, nil)
    return body.error
  }
}

/// Carries links into a test thread. Each is used by one thread.
struct Handed<Value>: @unchecked Sendable {
  // @unchecked: the test gives each value to one thread and joins that thread before it goes on.
  let value: Value
  init(_ value: Value) { self.value = value }
}
