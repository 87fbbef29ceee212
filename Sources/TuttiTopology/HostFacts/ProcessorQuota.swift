/// The processor time that a control group may use: a container with `--cpus 1.5` has 150,000 of every 100,000
/// microseconds.
///
/// Ranks of one group share its quota; those of two containers have one each, so it says which group it is of.
package struct ProcessorQuota: Hashable, Sendable {
  package let quotaMicroseconds: UInt64
  /// A length of time that is not 0.
  package let periodMicroseconds: UInt64
  /// The inode of the group's folder: the same for all processes of the host, whatever namespace they see it from.
  package let group: UInt64

  /// How many processors it is worth, rounded up; at least 1.
  package var processors: Int {
    let whole = quotaMicroseconds / periodMicroseconds
    let rounded = quotaMicroseconds % periodMicroseconds == 0 ? whole : whole + 1
    return max(1, Int(clamping: rounded))
  }

  /// How many processors it is worth, such as 1.5.
  package var exact: Double { Double(quotaMicroseconds) / Double(periodMicroseconds) }

  package init(quotaMicroseconds: UInt64, periodMicroseconds: UInt64, group: UInt64) {
    self.quotaMicroseconds = quotaMicroseconds
    self.periodMicroseconds = periodMicroseconds
    self.group = group
  }
}
