import Glibc
import TuttiTransport

/// The processor time that a control group may use: a container with `--cpus 1.5` has 150,000 of every 100,000 microseconds.
///
/// Ranks of one group share its quota; those of two containers have one each, so it says which group it is of.
package struct ProcessorQuota: Hashable, Sendable {
  let quotaMicroseconds: UInt64
  /// Not 0.
  let periodMicroseconds: UInt64
  /// The inode of the group's folder: the same for all processes of the host, whatever namespace they see it from.
  let group: UInt64

  /// How many processors it is worth, rounded up; at least 1.
  package var processors: Int {
    let whole = quotaMicroseconds / periodMicroseconds
    let rounded = quotaMicroseconds % periodMicroseconds == 0 ? whole : whole + 1
    return max(1, Int(clamping: rounded))
  }

  /// How many processors it is worth, such as 1.5.
  package var exact: Double { Double(quotaMicroseconds) / Double(periodMicroseconds) }

  /// The tightest quota of this process's control groups, version 2 (`cpu.max`) and 1 (`cpu.cfs_quota_us`); nil where there is none.
  ///
  /// - Parameter root: The folder that stands for `/`; tests make one.
  package static func read(root: String = "") -> ProcessorQuota? {
    var quotas: [ProcessorQuota] = []
    // Lines such as `0::/user.slice` and `3:cpu,cpuacct:/docker/0123`.
    for line in (readSmallFile(root + "/proc/self/cgroup") ?? "").split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let mount = root + "/sys/fs/cgroup"
      if fields[1].isEmpty {
        quotas += everyLevel(mount, fields[2], versionTwo)
      } else if fields[1].split(separator: ",").contains("cpu") {
        let folders = Set([String(fields[1]), "cpu"])
        quotas += folders.flatMap { everyLevel("\(mount)/\($0)", fields[2], versionOne) }
      }
    }
    return quotas.min { $0.exact < $1.exact }
  }

  /// The quotas of a group and of all above it. In a container the path may be the host's; then the mount itself is the group.
  private static func everyLevel(
    _ mount: String, _ path: Substring, _ read: (String) -> ProcessorQuota?
  ) -> [ProcessorQuota] {
    var names = path.split(separator: "/")
    var quotas: [ProcessorQuota] = []
    while true {
      let folder = names.reduce(mount) { "\($0)/\($1)" }
      if let quota = read(folder) { quotas.append(quota) }
      if names.popLast() == nil { return quotas }
    }
  }

  /// `cpu.max`: `150000 100000`, or `max 100000` for none.
  private static func versionTwo(_ folder: String) -> ProcessorQuota? {
    let fields = readSmallFile(folder + "/cpu.max")?.split(whereSeparator: \.isWhitespace) ?? []
    return fields.count == 2 ? ProcessorQuota(quota: UInt64(fields[0]), period: UInt64(fields[1]), folder) : nil
  }

  /// `cpu.cfs_quota_us` is -1 for none.
  private static func versionOne(_ folder: String) -> ProcessorQuota? {
    func number(_ name: String) -> UInt64? {
      readSmallFile("\(folder)/\(name)").flatMap { $0.split(whereSeparator: \.isWhitespace).first }.flatMap { UInt64($0) }
    }
    return ProcessorQuota(quota: number("cpu.cfs_quota_us"), period: number("cpu.cfs_period_us"), folder)
  }

  private init?(quota: UInt64?, period: UInt64?, _ folder: String) {
    guard let quota, let period, quota > 0, period > 0 else { return nil }
    var status = stat()
    self.init(
      quotaMicroseconds: quota, periodMicroseconds: period, group: stat(folder, &status) == 0 ? UInt64(status.st_ino) : 0)
  }

  init(quotaMicroseconds: UInt64, periodMicroseconds: UInt64, group: UInt64) {
    self.quotaMicroseconds = quotaMicroseconds
    self.periodMicroseconds = periodMicroseconds
    self.group = group
  }
}
