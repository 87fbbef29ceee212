import CTuttiLinux
import Glibc
import TuttiSystem

/// The one thread of this process that looks after all its communicators: parked in epoll, it calls a handler when a
/// descriptor is ready. Started at first use, it stays, parked, when nothing is watched any more. It blocks all signals.
///
/// Invariant: handlers are called one at a time. A handler may still run once while another thread unwatches its descriptor,
/// so it checks under its owner's lock whether the descriptor is still its own.
final class ServiceThread: Sendable {
  typealias Handler = @Sendable () -> Void

  /// Identifies a watched descriptor.
  struct Token: Hashable, Sendable {
    fileprivate let value: UInt64
  }

  private struct State {
    var handlers: [UInt64: Handler] = [:]
    var nextToken: UInt64 = 1
    /// The communicators that have not left.
    var memberships: [ObjectIdentifier: WeakMembership] = [:]
  }

  private struct WeakMembership {
    weak var membership: Membership?
  }

  private let epoll: OwnedDescriptor
  private let generation: UInt32
  private let state = Lock(State())

  /// One for the process.
  private static let instance = Lock<ServiceThread?>(nil)

  /// This process's service thread. A forked child gets one of its own: threads do not survive a fork.
  static func shared() throws(FailureReport) -> ServiceThread {
    try instance.withLock { current throws(FailureReport) in
      if let current, current.generation == tutti_current_fork_generation() { return current }
      let fresh = try ServiceThread()
      current = fresh
      return fresh
    }
  }

  private init() throws(FailureReport) {
    epoll = OwnedDescriptor(
      try systemCall("epoll_create1", advice: "Raise the limit of open files (ulimit -n)") { tutti_epoll() })
    generation = tutti_current_fork_generation()
    try startDetachedThread("tutti-service") { [self] in run() }
    atexit { ServiceThread.leaveAll() }
  }

  /// Makes `membership` leave in good order when the process exits without having closed it. A crash or a kill stays a
  /// death.
  func leaveAtExit(_ membership: Membership) {
    state.withLock { $0.memberships[ObjectIdentifier(membership)] = WeakMembership(membership: membership) }
  }

  func forget(_ membership: Membership) {
    _ = state.withLock { $0.memberships.removeValue(forKey: ObjectIdentifier(membership)) }
  }

  private static func leaveAll() {
    guard let current = instance.withLock({ $0 }), current.generation == tutti_current_fork_generation() else { return }
    for membership in current.state.withLock({ $0.memberships.values.compactMap(\.membership) }) {
      membership.leaveAtExit()
    }
  }

  /// Calls `handler` whenever `descriptor` is ready for `events` (`POLL*` bits), has an error or was hung up.
  func watch(
    _ descriptor: Int32, _ events: Int32 = POLLIN, _ handler: @escaping Handler
  ) throws(FailureReport) -> Token {
    let token = state.withLock {
      let token = $0.nextToken
      $0.nextToken += 1
      $0.handlers[token] = handler
      return token
    }
    guard tutti_epoll_watch(epoll.raw, descriptor, UInt32(events), token) == 0 else {
      let code = errno
      _ = state.withLock { $0.handlers.removeValue(forKey: token) }
      throw FailureReport(.resources, "cannot watch a descriptor", systemError: code)
    }
    return Token(value: token)
  }

  /// Changes what a descriptor is watched for.
  func rewatch(_ token: Token, _ descriptor: Int32, _ events: Int32) {
    tutti_epoll_watch(epoll.raw, descriptor, UInt32(events), token.value)
  }

  /// Forgets a descriptor, before it is closed.
  func unwatch(_ token: Token, _ descriptor: Int32) {
    let handler = state.withLock { $0.handlers.removeValue(forKey: token.value) }
    if handler != nil, generation == tutti_current_fork_generation() { tutti_epoll_unwatch(epoll.raw, descriptor) }
  }

  private func run() {
    var tokens = [UInt64](repeating: 0, count: 64)
    var events = [UInt32](repeating: 0, count: 64)
    while true {
      let count = tutti_epoll_wait(epoll.raw, &tokens, &events, 64, -1)
      for index in 0..<max(Int(count), 0) {
        let handler = state.withLock { $0.handlers[tokens[index]] }
        handler?()
      }
    }
  }
}
