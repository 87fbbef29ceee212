import CTuttiLinux

/// A descriptor closed when it goes out of scope, unless it was handed on: the one owner of a descriptor.
package struct OwnedDescriptor: ~Copyable {
  package let raw: Int32

  package init(_ raw: Int32) { self.raw = raw }

  package consuming func handOver() -> Int32 {
    let descriptor = raw
    discard self
    return descriptor
  }

  deinit { tutti_close(raw) }
}

/// A descriptor on its way from one thread to another, in a list that cannot hold its owner: closed with the last reference, unless it was taken.
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
    // In a forked child the number may belong to something else by now.
    if !isTaken.withLock({ $0 }), generation == tutti_current_fork_generation() { tutti_close(raw) }
  }
}
