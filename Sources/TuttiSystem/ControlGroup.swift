import Glibc

/// Finds the folders of the control groups that this process is in, from `/proc/self/cgroup`.
package enum ControlGroup {
  /// One group that a controller works on.
  package struct Folder: Hashable, Sendable {
    package let path: String
    /// 1, or 2 for the unified tree.
    package let version: Int
  }

  /// The folders of a controller's groups, each group before the one that contains it.
  ///
  /// In a container that sees only its own group, the path that the kernel reports may be the host's; then the mount itself
  /// is the group.
  ///
  /// - Parameters:
  ///   - controller: `memory`, `cpu`.
  ///   - membership: The text of `/proc/self/cgroup`: lines such as `0::/user.slice` and `3:cpu,cpuacct:/docker/0123`.
  ///   - mounts: The folder in which version 1's controllers, and version 2's own tree or `unified`, are.
  package static func folders(of controller: String, membership: String?, mounts: String) -> [Folder] {
    var folders: [Folder] = []
    for line in (membership ?? "").split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      if fields[1].split(separator: ",").contains(Substring(controller)) {
        // Controllers that share a tree are mounted under both names, or one is a link to the other.
        let root = [mounts + "/" + fields[1], mounts + "/" + controller].first { exists($0) }
        if let root { folders += upwards(root: root, path: fields[2], version: 1) }
      } else if fields[1].isEmpty {
        let isHybrid = !exists(mounts + "/cgroup.controllers") && exists(mounts + "/unified")
        folders += upwards(root: isHybrid ? mounts + "/unified" : mounts, path: fields[2], version: 2)
      }
    }
    return folders
  }

  private static func upwards(root: String, path: Substring, version: Int) -> [Folder] {
    var names = exists(root + path) ? path.split(separator: "/") : []
    var folders: [Folder] = []
    while true {
      folders.append(Folder(path: names.reduce(root) { "\($0)/\($1)" }, version: version))
      if names.popLast() == nil { return folders }
    }
  }

  private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
