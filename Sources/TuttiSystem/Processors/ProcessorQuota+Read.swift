import Glibc
import TuttiTopology

// The processor time of this process's control groups.

extension ProcessorQuota {
  /// The tightest quota of this process's control groups, version 2 (`cpu.max`) and 1 (`cpu.cfs_quota_us`); nil where there
  /// is none.
  ///
  /// - Parameter root: The folder that stands for `/`; tests make one.
  package static func read(root: String = "") -> ProcessorQuota? {
    let membership = readSmallFile(root + "/proc/self/cgroup")
    return ControlGroup.folders(of: "cpu", membership: membership, mounts: root + "/sys/fs/cgroup")
      .compactMap { $0.version == 1 ? versionOne($0.path) : versionTwo($0.path) }
      .min { $0.exact < $1.exact }
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
}
