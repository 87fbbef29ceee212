import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTopology

/// What a rank's process may do on its host, found out by trying when it joins. Travels in its record, so that all ranks
/// decide alike whom it shares memory with, at the join and at every split.
package struct HostAbilities: Hashable, Sendable {
  /// What kept it from sharing memory, as the system said it: `memfd_create: Operation not permitted`. Empty when nothing
  /// does.
  package var memoryObstacle: String
  /// What keeps it from watching the other processes of its host, in the same form. Empty when nothing does.
  package var watchObstacle: String
  /// Why it has no rails though it would use them, in one sentence without a full stop: `no RDMA device`. Empty when it has some, or was
  /// not to look.
  package var rdmaObstacle: String
  /// Its effective user, a number of `userNamespace`.
  package var user: UInt32
  /// Inode of the user namespace: `user` means nothing in another one.
  package var userNamespace: UInt64
  /// Identifies the control group whose memory limit is the first to be reached; 0 without a limit. Ranks with the same one
  /// share what it leaves.
  package var memoryGroup: UInt64

  static let obstacleBytesMax = 128
  static let rdmaObstacleBytesMax = 256

  /// Of this process.
  ///
  /// - Parameters:
  ///   - memoryObstacle: What a trial of sharing memory found; cut at 128 bytes.
  ///   - rdmaObstacle: What a look for RDMA devices found; cut at 256 bytes.
  package static func current(
    memoryObstacle: String = "", memoryGroup: UInt64 = 0, rdmaObstacle: String = ""
  ) -> HostAbilities {
    HostAbilities(
      memoryObstacle: bounded(memoryObstacle), watchObstacle: bounded(tryToWatch()),
      rdmaObstacle: bounded(rdmaObstacle, rdmaObstacleBytesMax), user: geteuid(), userNamespace: namespaceInode("user"),
      memoryGroup: memoryGroup)
  }

  /// pidfd_open(2) of this process itself.
  private static func tryToWatch() -> String {
    let descriptor = tutti_pidfd_open(getpid())
    if descriptor < 0 { return "pidfd_open: \(errorText(errno))" }
    tutti_close(descriptor)
    return ""
  }

  private static func bounded(_ text: String, _ bytesMax: Int = obstacleBytesMax) -> String {
    text.utf8.count <= bytesMax ? text : String(decoding: text.utf8.prefix(bytesMax - 4), as: UTF8.self)
  }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(memoryObstacle, bytesMax: Self.obstacleBytesMax)
    encoder.put(watchObstacle, bytesMax: Self.obstacleBytesMax)
    encoder.put(rdmaObstacle, bytesMax: Self.rdmaObstacleBytesMax)
    encoder.put(user)
    encoder.put(userNamespace)
    encoder.put(memoryGroup)
  }

  package init(
    memoryObstacle: String = "", watchObstacle: String = "", rdmaObstacle: String = "", user: UInt32,
    userNamespace: UInt64, memoryGroup: UInt64 = 0
  ) {
    self.memoryObstacle = memoryObstacle
    self.watchObstacle = watchObstacle
    self.rdmaObstacle = rdmaObstacle
    self.user = user
    self.userNamespace = userNamespace
    self.memoryGroup = memoryGroup
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    memoryObstacle = try decoder.takeText(bytesMax: Self.obstacleBytesMax, "obstacle")
    watchObstacle = try decoder.takeText(bytesMax: Self.obstacleBytesMax, "obstacle")
    rdmaObstacle = try decoder.takeText(bytesMax: Self.rdmaObstacleBytesMax, "obstacle")
    user = try decoder.take("user")
    userNamespace = try decoder.take("user namespace")
    memoryGroup = try decoder.take("memory group")
  }
}

/// Ranks that are equal in this can map memory that one of them passes to another: the same machine and network namespace
/// (that of abstract Unix sockets), and the same user.
package struct MemoryDomain: Hashable, Sendable {
  let host: HostIdentity
  let user: UInt32
  let userNamespace: UInt64
}

extension MemberRecord {
  /// Whom this rank can share memory with; nil for nobody.
  package var memoryDomain: MemoryDomain? {
    guard abilities.memoryObstacle.isEmpty else { return nil }
    return MemoryDomain(host: host, user: abilities.user, userNamespace: abilities.userNamespace)
  }

  /// Whether both are on one machine, in whatever containers.
  package func isOnMachine(of other: MemberRecord) -> Bool { host.machine == other.host.machine }

  /// Whether the process number of one means the same process to the other.
  package func isInProcessNamespace(of other: MemberRecord) -> Bool { process.namespace == other.process.namespace }

  /// Why two ranks cannot share memory, as the end of a sentence that names neither; nil when they can.
  package func obstacleToSharing(with other: MemberRecord) -> String? {
    for member in [self, other] where !member.abilities.memoryObstacle.isEmpty {
      return "\(member.description) cannot share memory (\(member.abilities.memoryObstacle))"
    }
    if host.machine != other.host.machine {
      return "\(description) and \(other.description) are on different hosts"
    }
    if host != other.host {
      return "\(description) and \(other.description) are on one machine in different network namespaces"
    }
    if abilities.userNamespace != other.abilities.userNamespace {
      return "\(description) and \(other.description) are in different user namespaces"
    }
    if abilities.user != other.abilities.user {
      return "\(description) runs as user \(abilities.user) and \(other.description) as user \(other.abilities.user)"
    }
    return nil
  }
}
