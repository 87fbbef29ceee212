import CTuttiLinux

/// A descriptor closed when it goes out of scope, unless it was handed on.
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
