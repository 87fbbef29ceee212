import CTuttiLinux

/// A descriptor closed when it goes out of scope, unless it was handed on: the one owner of a descriptor.
///
/// In a child that was forked after it was made, it closes nothing: what is registered is closed there already, and the
/// number may belong to something else by now.
package struct OwnedDescriptor: ~Copyable {
  package let raw: Int32
  private let generation = tutti_current_fork_generation()

  package init(_ raw: Int32) { self.raw = raw }

  package consuming func handOver() -> Int32 {
    let descriptor = raw
    discard self
    return descriptor
  }

  deinit {
    if generation == tutti_current_fork_generation() { tutti_close(raw) }
  }
}

/// A descriptor in a list that cannot hold its owner, or on its way from one thread to another: closed with the last
/// reference, unless it was taken.
package final class PassedDescriptor: Sendable {
  package let raw: Int32
  private let isTaken = Lock(false)
  private let generation = tutti_current_fork_generation()

  package init(_ descriptor: consuming OwnedDescriptor) { raw = descriptor.handOver() }

  /// Takes it. Once.
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
