// Memory of the caller's own that devices reach.

import TuttiSystem
import TuttiTransport

extension Communicator {
  /// Lets RDMA move memory of the caller's own without a copy, as it moves that of ``allocate(_:count:repeating:)``: for
  /// tensors that something else has allocated. Other transports move it as before.
  ///
  /// Not a collective call: each rank registers what it wants, when it wants. The memory is registered with all
  /// communicators that were split from one another. Its pages are pinned, which takes about as long as touching them all
  /// and counts against the limit of locked memory (`ulimit -l`): register what is used many times. Where this rank has no
  /// links over RDMA, nothing happens.
  ///
  /// The memory stays the caller's, who keeps it mapped until ``unregister(_:)`` has returned. If it were freed or remapped
  /// earlier, devices would go on reaching the old pages: results would be wrong, without an error.
  ///
  /// - Parameter memory: Of any address and size; a part of it can be a call's buffer as well. Empty memory is ignored.
  /// - Throws: ``TuttiError`` with `.invalidArgument` where a part is registered already, also by `allocate`; `.resources`
  ///   where a limit forbids it: the memory can be used all the same, with copies.
  public func register(_ memory: UnsafeMutableRawBufferPointer) throws(TuttiError) {
    try withRegisteredMemory { registered throws(FailureReport) in
      if let start = memory.baseAddress, !memory.isEmpty { try registered.register(start, bytes: memory.count) }
    }
  }

  /// Undoes ``register(_:)``: afterwards the memory may be freed.
  ///
  /// - Parameter memory: As it was registered. No operation may be using any part of it.
  /// - Throws: ``TuttiError`` with `.invalidArgument` for memory that does not begin where a registered one does.
  public func unregister(_ memory: UnsafeMutableRawBufferPointer) throws(TuttiError) {
    try withRegisteredMemory { registered throws(FailureReport) in
      if let start = memory.baseAddress, !memory.isEmpty { try registered.unregister(start) }
    }
  }

  /// Calls `body` where devices reach registered memory.
  private func withRegisteredMemory(_ body: (RegisteredMemory) throws(FailureReport) -> Void) throws(TuttiError) {
    do throws(FailureReport) {
      try member.checkProcess()
      guard let transport = member.deviceTransport else { return }
      guard let memory = member.registeredMemory else {
        if let failure = member.registrationFailure { throw failure }
        return
      }
      do throws(FailureReport) { try body(memory) } catch { throw error.with(rank: rank, transport: transport) }
    } catch { throw TuttiError(error) }
  }
}
