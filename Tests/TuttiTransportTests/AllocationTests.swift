import CTuttiAllocations
import Glibc
import Patience
import Testing
import TuttiSystem
import TuttiTransport

/// All but TLS: OpenSSL allocates for each record that it writes.
private let allocationFactories = conformanceFactories.filter { !(($0 as? TCPFactory)?.isEncrypted ?? false) }

/// Once a link is warm, moving segments allocates nothing.
@Suite(.serialized) struct AllocationTests {
  @Test("the counter counts")
  func canary() {
    let before = tutti_allocation_count()
    // Under a sanitizer it stays at 0, and the test below then shows nothing.
    withExtendedLifetime(Scratch(100)) { #expect(before == 0 || tutti_allocation_count() > before) }
  }

  @Test("segments sent, copied and composed allocate nothing", arguments: allocationFactories)
  func steadyState(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let content = BytePool.shared.content(1)
    // The count is the process's, and other tests run meanwhile. So the quietest of many short stretches is what counts,
    // however long it takes to come: an allocation of the link's would be in every one.
    var least = UInt64.max
    var stretches = 0
    let end = Patience.deadline(seconds: 20)
    while stretches < 500 || least > 0 && monotonicNanoseconds() < end {
      stretches += 1
      let before = tutti_allocation_count()
      exchange(first, second, content, segments: 20, until: end)
      least = min(least, tutti_allocation_count() - before)
    }
    #expect(least == 0)
  }

  /// Drives the links as an engine would, without closures and throws.
  private func exchange(_ first: Link, _ second: Link, _ content: UnsafeRawPointer, segments: Int, until end: UInt64) {
    for number in 0..<segments {
      let lane = number % Lane.count
      let bytes = number % 4 == 0 ? 30_000 : 200
      while !first.canSend(lane) && monotonicNanoseconds() < end {
        if first.needsProgress { first.progress() }
        if second.needsProgress { second.progress() }
      }
      if number % 3 == 0 {
        memcpy(first.reserve(lane, bytes), content, bytes)
        _ = first.commit(lane, CallSignature(rawValue: 1), 1, bytes)
      } else {
        _ = first.send(lane, CallSignature(rawValue: 1), 1, content, bytes, copied: number % 3 == 1)
      }
      while second.peek(lane) == nil && monotonicNanoseconds() < end {
        if first.needsProgress { first.progress() }
        if second.needsProgress { second.progress() }
      }
      second.consume(lane)
      _ = first.released(lane)
    }
  }
}
