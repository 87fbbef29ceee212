import CTuttiLinux

/// The one owner of a descriptor: closes it when it goes out of scope, unless it was handed on.
///
/// It closes nothing in a forked child, where the number may belong to something else by now: the library's descriptors are
/// closed there when the child begins.
package struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number, for system calls. Whoever keeps it must not use it longer than this owner lives.
  package let raw: Int32
  private let generation = tutti_current_fork_generation()

  package init(_ raw: Int32) { self.raw = raw }

  /// Gives the number to a new owner, and closes nothing.
  package consuming func handOver() -> Int32 {
    let descriptor = raw
    discard self
    return descriptor
  }

  deinit {
    if generation == tutti_current_fork_generation() { tutti_close(raw) }
  }
}

/// Carries a descriptor from one thread to another, or holds it in a list that cannot hold its owner. The descriptor is
/// closed with the last reference, unless it was taken.
package final class PassedDescriptor: Sendable {
  package let raw: Int32
  private let isTaken = Lock(false)
  private let generation = tutti_current_fork_generation()

  package init(_ descriptor: consuming OwnedDescriptor) { raw = descriptor.handOver() }

  /// Takes the descriptor. May be called once.
  package func take() -> OwnedDescriptor {
    isTaken.withLock { isTaken in
      precondition(!isTaken, "a descriptor has one owner")
      isTaken = true
    }
    return OwnedDescriptor(raw)
  }

  deinit {
    if !isTaken.withLock({ $0 }), generation == tutti_current_fork_generation() { tutti_close(raw) }
  }
}
