import CTuttiLinux
import Glibc

/// What a process may do on its host, found out by trying when it joins. It is sent to all ranks, so that they decide alike
/// whom the process shares memory with, at the join and at every split.
package struct HostAbilities: Hashable, Sendable {
  /// What keeps it from sharing memory, in the system's words: `memfd_create: Operation not permitted`. Empty when nothing
  /// does.
  package var memoryObstacle: String
  /// What keeps it from watching the other processes of its host, in the same form. Empty when nothing does.
  package var watchObstacle: String
  /// Its effective user, as `userNamespace` numbers it.
  package var user: UInt32
  /// Inode of the user namespace: `user` means nothing in another one.
  package var userNamespace: UInt64

  static let obstacleBytesMax = 128

  /// Finds out the abilities of this process.
  package static func current() -> HostAbilities {
    HostAbilities(
      memoryObstacle: bounded(SharedMemoryProbe.obstacle()), watchObstacle: bounded(tryToWatch()), user: geteuid(),
      userNamespace: namespaceInode("user"))
  }

  /// Tries pidfd_open(2) on this process itself.
  private static func tryToWatch() -> String {
    let descriptor = tutti_pidfd_open(getpid())
    if descriptor < 0 { return "pidfd_open: \(errorText(errno))" }
    tutti_close(descriptor)
    return ""
  }

  private static func bounded(_ text: String) -> String {
    text.utf8.count <= obstacleBytesMax ? text : String(decoding: text.utf8.prefix(obstacleBytesMax - 4), as: UTF8.self)
  }

  package func encode(into encoder: inout WireEncoder) {
    encoder.put(memoryObstacle, bytesMax: Self.obstacleBytesMax)
    encoder.put(watchObstacle, bytesMax: Self.obstacleBytesMax)
    encoder.put(user)
    encoder.put(userNamespace)
  }

  package init(memoryObstacle: String = "", watchObstacle: String = "", user: UInt32, userNamespace: UInt64) {
    self.memoryObstacle = memoryObstacle
    self.watchObstacle = watchObstacle
    self.user = user
    self.userNamespace = userNamespace
  }

  package init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    memoryObstacle = try decoder.takeText(bytesMax: Self.obstacleBytesMax, "obstacle")
    watchObstacle = try decoder.takeText(bytesMax: Self.obstacleBytesMax, "obstacle")
    user = try decoder.take("user")
    userNamespace = try decoder.take("user namespace")
  }
}
