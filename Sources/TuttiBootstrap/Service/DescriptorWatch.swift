import Glibc
import TuttiSystem
import TuttiTransport

/// Makes this process's service thread call a handler whenever a descriptor is readable, has an error or was hung up, until
/// the watch is cancelled or let go. It is for devices and connections that do not belong to a membership.
///
/// The handler must not block, and may still run once while another thread cancels, so it checks whether the descriptor is
/// still its owner's. The descriptor stays the owner's: cancel before it is closed.
package final class DescriptorWatch: WatchedDescriptor {
  private let descriptor: Int32
  private let service: ServiceThread
  private let token: ServiceThread.Token

  /// - Throws: `.resources`: there can be no service thread, or it can watch no more.
  package init(_ descriptor: Int32, _ handler: @escaping @Sendable () -> Void) throws(FailureReport) {
    self.descriptor = descriptor
    service = try .shared()
    token = try service.watch(descriptor, POLLIN, handler)
  }

  deinit { cancel() }

  /// Forgets the descriptor. Idempotent; any thread.
  package func cancel() { service.unwatch(token, descriptor) }
}
