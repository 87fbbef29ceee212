import Glibc

/// Identifies a process, so that it is not mistaken for a later one with the same number.
package struct ProcessIdentity: Hashable, Sendable {
  package var pid: Int32
  /// Field 22 of `/proc/PID/stat`: ticks since boot.
  package var startTime: UInt64
  /// Inode of the process number namespace: `pid` means nothing in another one.
  package var namespace: UInt64

  package static func current() -> ProcessIdentity {
    ProcessIdentity(
      pid: getpid(), startTime: startTime(of: "self") ?? 0, namespace: namespaceInode("pid"))
  }

  package static func startTime(of process: String) -> UInt64? {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    guard let text = readSmallFile("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }

  package init(pid: Int32, startTime: UInt64, namespace: UInt64) {
    self.pid = pid
    self.startTime = startTime
    self.namespace = namespace
  }
}

/// Inode of one of this process's namespaces; 0 when it cannot be told.
package func namespaceInode(_ kind: String) -> UInt64 {
  var status = stat()
  return stat("/proc/self/ns/\(kind)", &status) == 0 ? UInt64(status.st_ino) : 0
}
