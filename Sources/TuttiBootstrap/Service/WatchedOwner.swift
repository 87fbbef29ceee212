import CTuttiLinux
import Glibc
import TuttiSystem

/// A descriptor and this process's watch of it: the service thread calls a handler whenever it is readable. Forgotten there
/// and closed with the last reference.
///
/// The handler may still run once while the last reference goes on another thread.
final class WatchedOwner: Sendable {
  private let descriptor: OwnedDescriptor
  private let token: ServiceThread.Token
  private let service: ServiceThread

  /// - Throws: `.resources`: no more can be watched. The descriptor is closed then.
  init(
    _ descriptor: consuming OwnedDescriptor, _ service: ServiceThread, _ handler: @escaping ServiceThread.Handler
  ) throws(FailureReport) {
    token = try service.watch(descriptor.raw, POLLIN, handler)
    self.descriptor = descriptor
    self.service = service
  }

  /// The number of the descriptor, for system calls while this lives.
  var raw: Int32 { descriptor.raw }

  deinit { service.unwatch(token, descriptor.raw) }
}
