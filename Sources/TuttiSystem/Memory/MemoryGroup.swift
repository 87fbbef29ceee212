import Glibc

/// A control group with a memory limit that this process is in: cgroup v2 `memory.max`, or v1 `memory.limit_in_bytes`.
package struct MemoryGroup: Hashable, Sendable {
  /// The file that holds the limit.
  package let file: String
  /// Inode of the group's directory: equal for all processes of a machine that are in it.
  package let identity: UInt64
  package let limit: UInt64
  /// The bytes in use that the kernel could not reclaim by dropping cached files.
  package let used: UInt64

  package init(file: String, identity: UInt64, limit: UInt64, used: UInt64) {
    self.file = file
    self.identity = identity
    self.limit = limit
    self.used = used
  }

  package var left: UInt64 { limit > used ? limit - used : 0 }

  /// The groups with a limit that this process is in, the innermost first.
  ///
  /// - Parameters:
  ///   - membership: The text of `/proc/self/cgroup`.
  ///   - mounts: Folder in which version 1's `memory`, and version 2's own tree or `unified`, are.
  package static func current(
    membership: String? = readSmallFile("/proc/self/cgroup"), mounts: String = "/sys/fs/cgroup"
  ) -> [MemoryGroup] {
    ControlGroup.folders(of: "memory", membership: membership, mounts: mounts).compactMap { folder in
      read(folder.path, folder.version == 1 ? .version1 : .version2)
    }
  }

  private struct Names {
    let limit: String
    let usage: String
    /// The fields of memory.stat that count what can be reclaimed.
    let cached: Set<Substring>

    static let version1 = Names(
      limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cached: ["total_inactive_file", "total_active_file"])
    static let version2 = Names(
      limit: "memory.max", usage: "memory.current", cached: ["inactive_file", "active_file", "slab_reclaimable"])
  }

  private static func read(_ folder: String, _ names: Names) -> MemoryGroup? {
    let file = folder + "/" + names.limit
    // Version 1 says "no limit" as a number near 2^63.
    guard let limit = number(file), limit < 1 << 60, let usage = number(folder + "/" + names.usage) else { return nil }
    var status = stat()
    guard stat(folder, &status) == 0 else { return nil }
    var cached: UInt64 = 0
    for line in (readSmallFile(folder + "/memory.stat", bytesMax: 16384) ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, names.cached.contains(words[0]) { cached += UInt64(words[1]) ?? 0 }
    }
    return MemoryGroup(
      file: file, identity: UInt64(status.st_ino), limit: limit, used: usage > cached ? usage - cached : 0)
  }

  private static func number(_ path: String) -> UInt64? {
    readSmallFile(path)?.split(separator: "\n").first.flatMap { UInt64($0) }
  }
}
