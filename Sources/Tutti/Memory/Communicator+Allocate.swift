import TuttiSystem

// Memory that peers reach in place.

extension Communicator {
  /// Allocates memory that the ranks of this host read and write in place, and that RDMA moves to other hosts without a
  /// copy: large calls on it move each byte once.
  ///
  /// Not a collective call: each rank allocates what it wants, when it wants, and calls may mix registered and ordinary
  /// memory. It is registered with this communicator and with those split from it afterwards; elsewhere it is ordinary
  /// memory. Freed, pages and all, with the last reference to the buffer.
  ///
  /// - Parameters:
  ///   - count: Elements; may be 0.
  ///   - value: The initial value of each.
  /// - Returns: Page-aligned memory, in huge pages where the kernel gives them. Ordinary memory where no other rank could
  ///   reach it: ``TuttiBuffer/isRegistered`` tells.
  /// - Throws: ``TuttiError`` with `.resources` where so much memory cannot be registered, `.invalidArgument` for a
  ///   count that is negative or too large.
  /// - Note: After fork(2) the memory is shared with the child. A peer that was stopped while it wrote here, and goes on
  ///   more than 100 ms after the call has failed, still writes the rest of its segment.
  public func allocate<Element: TuttiElement>(
    _ element: Element.Type = Element.self, count: Int, repeating value: Element
  ) throws(TuttiError) -> TuttiBuffer<Element> {
    if MemoryLayout<Element>.stride != Element.dataType.size { throw TuttiError(badLayout(Element.dataType)) }
    do throws(FailureReport) {
      try member.checkProcess()
      if count < 0 || count > Self.countMax { throw badCount(count) }
      do throws(FailureReport) {
        if let failure = member.registrationFailure { throw failure }
        guard let arena = member.registeredMemory else { return TuttiBuffer(count: count, repeating: value) }
        return try TuttiBuffer(count: count, repeating: value, in: arena)
      } catch {
        throw error.with(rank: rank, transport: error.transport.isEmpty ? member.memoryTransport : error.transport)
      }
    } catch { throw TuttiError(error) }
  }
}
