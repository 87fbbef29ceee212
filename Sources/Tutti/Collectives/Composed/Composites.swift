import TuttiEngine
import TuttiSystem

/// The operations of one communicator that are made of others: several parts that were started, and a last step once all of
/// them have ended, such as copying results to where they belong.
///
/// Invariant: an operation is in the table from its start until its last step is done; after a failure of the communicator
/// it may stay there.
final class Composites: Sendable {
  /// How long a waiter sleeps between the end of the parts and that of the last step, in nanoseconds, unless it is woken.
  private static let napNanoseconds: UInt64 = 1_000_000

  private struct Operation {
    /// Emptied after a failure, so that they keep nothing alive.
    var parts: [Work]
    /// Parts that have not ended.
    var left: Int
    let finish: @Sendable () -> Void
    var handlers: [@Sendable () -> Void] = []
  }

  private let engine: Engine
  private let state = Lock((last: WorkNumber.composites, running: [UInt64: Operation]()))
  private let changed = WakeWord()

  init(_ engine: Engine) { self.engine = engine }

  /// Makes one operation of several that were started.
  ///
  /// - Parameters:
  ///   - parts: Of the communicator; at least one.
  ///   - finish: Is called once, when all have ended well, on whichever thread notices. Must not block.
  /// - Returns: Its number.
  func add(_ parts: [Work], finish: @escaping @Sendable () -> Void) -> UInt64 {
    let number = state.withLock { state in
      state.last += 1
      state.running[state.last] = Operation(parts: parts, left: parts.count, finish: finish)
      return state.last
    }
    for part in parts { part.whenNoticed { [self] in noteEnd(of: part, in: number) } }
    return number
  }

  private func noteEnd(of part: Work, in number: UInt64) {
    // A failure ends all operations of the communicator.
    if !part.isDone {
      let handlers = state.withLock { state in
        state.running[number]?.parts = []
        return state.running[number]?.handlers.take() ?? []
      }
      return end(handlers)
    }
    let finish = state.withLock { state -> (@Sendable () -> Void)? in
      state.running[number]?.left -= 1
      return state.running[number]?.left == 0 ? state.running[number]?.finish : nil
    }
    guard let finish else { return }
    finish()
    end(state.withLock { $0.running.removeValue(forKey: number)?.handlers ?? [] })
  }

  private func end(_ handlers: [@Sendable () -> Void]) {
    changed.wake()
    for handler in handlers { handler() }
  }

  func isDone(_ number: UInt64) -> Bool { state.withLock { $0.running[number] == nil } }

  /// Calls `handler` once, when the operation has ended, well or not.
  func notify(_ number: UInt64, _ handler: @escaping @Sendable () -> Void) {
    let isToCome = state.withLock { state in
      engine.failure == nil && state.running[number]?.handlers.append(handler) != nil
    }
    if !isToCome { handler() }
  }

  /// Waits until the operation has ended, at most so many nanoseconds; the calling thread makes the progress meanwhile.
  ///
  /// - Returns: Whether it has ended.
  func wait(for number: UInt64, atMost nanoseconds: UInt64) throws(FailureReport) -> Bool {
    let deadline = engine.clock.now() &+ nanoseconds
    for part in state.withLock({ $0.running[number]?.parts ?? [] }) {
      let now = engine.clock.now()
      if try !part.drive(atMost: deadline > now ? deadline - now : 0) { return false }
    }
    // Another thread may be at the last step.
    while true {
      let seen = changed.value
      if isDone(number) { return true }
      if let failure = engine.failure { throw failure }
      if engine.clock.now() >= deadline { return false }
      engine.clock.wait(atMost: Self.napNanoseconds) { changed.wait(while: seen, nanoseconds: $0) }
    }
  }
}

extension Array {
  /// Takes all elements out.
  fileprivate mutating func take() -> [Element] {
    defer { self = [] }
    return self
  }
}
