import CTuttiLinux
import Glibc
import TuttiSystem

/// The file that `TUTTI_SECRET_FILE` names.
enum SecretFile {
  private static let bytesMax = 4096
  static let readableVariable = "TUTTI_SECRET_FILE_READABLE"

  /// - Throws: `.configuration`: it cannot be read, or others can read or write it.
  static func read(_ path: String, _ variables: EnvironmentReader) throws(FailureReport) -> [UInt8] {
    func refuse(_ why: String, _ advice: String, _ code: Int32 = 0) -> FailureReport {
      FailureReport(.configuration, "TUTTI_SECRET_FILE=\"\(path)\" \(why)", advice: advice, systemError: code)
    }
    // Non-blocking, because opening a FIFO would otherwise wait for its writer.
    let file = OwnedDescriptor(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
    guard file.raw >= 0 else {
      throw refuse("cannot be read", "Check that the file exists on this host and that this user can read it", errno)
    }
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw refuse("is not a regular file", "Name a file that holds the secret")
    }
    var mount = statvfs()
    let isReadOnly = fstatvfs(file.raw, &mount) == 0 && mount.f_flag & UInt(ST_RDONLY) != 0
    let access = Access(mode: status.st_mode & 0o777, isOwn: status.st_uid == geteuid(), isOnReadOnlyMount: isReadOnly)
    let isTold = try variables.flag(readableVariable)
    if let flaw = access.flaw(mayBeRead: isTold) {
      throw refuse(
        "can be \(flaw) by other users (mode \(String(access.mode, radix: 8)))",
        flaw == "read"
          ? "Run chmod 600 on it, and choose a new secret; where the mode cannot be changed and everybody on this host may "
            + "know the secret, set \(readableVariable)=1"
          : "Run chmod 600 on it, and choose a new secret")
    }
    var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
    let count = Glibc.read(file.raw, &bytes, bytes.count)
    guard count >= 0 else { throw refuse("cannot be read", "Check the file", errno) }
    guard count <= bytesMax else { throw refuse("is longer than \(bytesMax) bytes", "Use 32 random bytes as hex") }
    bytes.removeLast(bytes.count - count)
    while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
    guard !bytes.isEmpty else { throw refuse("is empty", "Write a secret into it: openssl rand -hex 32") }
    return bytes
  }

  /// Who can read and write a file.
  struct Access {
    /// The nine bits of permission.
    let mode: mode_t
    /// Whether it belongs to the user of this process, who could then give it another mode.
    let isOwn: Bool
    /// Where a container's secrets are mounted nobody in the container can write, nor change a mode.
    let isOnReadOnlyMount: Bool

    /// What others can do with it and must not: "written" or "read"; nil when it keeps a secret.
    func flaw(mayBeRead: Bool) -> String? {
      if mode & 0o022 != 0 { return "written" }
      if mode & 0o044 == 0 || isOnReadOnlyMount || mayBeRead { return nil }
      // The mode of a file of somebody else who shares it with one of this process's groups, as the kubelet does.
      return mode & 0o004 == 0 && !isOwn ? nil : "read"
    }
  }
}
