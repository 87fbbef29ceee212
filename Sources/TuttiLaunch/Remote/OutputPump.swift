import Glibc
import TuttiSystem

/// Writes what ranks of other hosts print to this process's own streams, on a thread of its own: a reader that takes its
/// time must not keep the launcher from its hosts.
final class OutputPump: Sendable {
  private struct State {
    var waiting: [(stream: StandardStream, text: [UInt8])] = []
    var byteCount = 0
    var isWriting = false
    var isClosed = false
    var failures: [StandardStream: StandardStream.Failure] = [:]
  }

  private let state = Lock(State())
  private let bell = WakeWord()
  private let idle = WakeWord()

  init() throws(LaunchError) {
    do throws(FailureReport) {
      // It blocks all signals, SIGPIPE too: a reader that has left is an error of the write.
      try startDetachedThread("tutti output", orElse: "cannot start the thread that writes ranks' output") { [self] in work()
      }
    } catch { throw LaunchError(error) }
  }

  /// Whether so much waits that no more should be added.
  var isFull: Bool { state.withLock { $0.byteCount > AgentProtocol.queueBytesMax } }

  /// Why a stream takes no more; nil while it does.
  func failure(_ stream: StandardStream) -> StandardStream.Failure? { state.withLock { $0.failures[stream] } }

  func add(_ bytes: [UInt8], to stream: StandardStream) {
    if bytes.isEmpty { return }
    state.withLock { state in
      if state.failures[stream] != nil { return }
      state.waiting.append((stream, bytes))
      state.byteCount += bytes.count
    }
    bell.wake()
  }

  /// Waits until everything is written, however long its reader takes, unless `isUrgent` says so: called every 100 ms.
  func drain(unless isUrgent: () -> Bool) {
    while !isUrgent() {
      let seen = idle.value
      if state.withLock({ $0.waiting.isEmpty && !$0.isWriting }) { return }
      idle.wait(while: seen, nanoseconds: 100 * Clock.millisecond)
    }
  }

  /// Ends the thread.
  func close() {
    state.withLock { $0.isClosed = true }
    bell.wake()
  }

  private func work() {
    while true {
      let seen = bell.value
      let (next, isClosed) = state.withLock { state -> ((stream: StandardStream, text: [UInt8])?, Bool) in
        let next = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
        state.isWriting = next != nil
        return (next, state.isClosed)
      }
      guard let next else {
        idle.wake()
        if isClosed { return }
        bell.wait(while: seen, nanoseconds: Clock.second)
        continue
      }
      var failure: StandardStream.Failure?
      do throws(StandardStream.Failure) { try writeAll(next.stream.rawValue, next.text[...]) } catch { failure = error }
      state.withLock { state in
        state.byteCount -= next.text.count
        if let failure, state.failures[next.stream] == nil {
          state.failures[next.stream] = failure
          state.waiting.removeAll { $0.stream == next.stream }
          state.byteCount = state.waiting.reduce(0) { $0 + $1.text.count }
        }
      }
    }
  }
}

/// Begins each line of a rank with its number, and keeps the lines of several ranks apart.
struct LinePrefixer {
  private static let lineBytesMax = 1 << 16
  private let prefix: [UInt8]
  private var partial: [UInt8] = []

  init(rank: Int) { prefix = Array("[rank \(rank)] ".utf8) }

  /// The lines that are complete with these bytes. A line that does not end is cut.
  mutating func add(_ bytes: [UInt8]) -> [UInt8] {
    partial += bytes
    var lines: [UInt8] = []
    while let end = partial.firstIndex(of: 0x0A) {
      lines += prefix + partial[...end]
      partial.removeFirst(end + 1)
    }
    return partial.count > Self.lineBytesMax ? lines + finish() : lines
  }

  /// What has no end of line, with one.
  mutating func finish() -> [UInt8] {
    defer { partial = [] }
    return partial.isEmpty ? [] : prefix + partial + [0x0A]
  }
}
