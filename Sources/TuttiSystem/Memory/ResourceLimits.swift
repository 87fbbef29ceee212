import Glibc

/// What something will take of this process's resources.
package struct ResourceDemand: Sendable {
  /// The size of the largest anonymous file it makes (memfd_create(2), ftruncate(2)).
  package var fileBytes = 0
  /// Address space of all its mappings.
  package var addressBytes = 0
  /// Memory that this process will be the first to touch, at most.
  package var touchedBytes = 0
  /// How many ranks of this host, this one included, are in the same control group and touch as much.
  package var ranksTouching = 1
  package var descriptors = 0

  package init() {}

  /// The demand for memory that this process makes and shares with others, whose memory it maps in turn.
  ///
  /// - Parameters:
  ///   - bytes: The size of this process's memory, all of which it will touch.
  ///   - peerBytes: The size of all others' memory together.
  package init(sharing bytes: Int, peerBytes: Int) {
    fileBytes = bytes
    addressBytes = bytes + peerBytes
    touchedBytes = bytes
    // It needs one for its own file, and one for a peer's until that is mapped.
    descriptors = 2
  }
}

/// What the system still lets this process take. It holds for the moment only: others of the same control group may take it
/// meanwhile.
package struct ResourceLimits: Sendable {
  /// RLIMIT_FSIZE. Here and below, nil means that there is no limit.
  package var fileBytes: UInt64?
  /// RLIMIT_AS, and how much of it is in use.
  package var addressBytes: UInt64?
  package var addressBytesUsed: UInt64
  /// RLIMIT_NOFILE, and how many are open.
  package var descriptors: UInt64?
  package var descriptorsUsed: UInt64
  /// The innermost first.
  package var memoryGroups: [MemoryGroup]

  package init(
    fileBytes: UInt64? = nil, addressBytes: UInt64? = nil, addressBytesUsed: UInt64 = 0, descriptors: UInt64? = nil,
    descriptorsUsed: UInt64 = 0, memoryGroups: [MemoryGroup] = []
  ) {
    self.fileBytes = fileBytes
    self.addressBytes = addressBytes
    self.addressBytesUsed = addressBytesUsed
    self.descriptors = descriptors
    self.descriptorsUsed = descriptorsUsed
    self.memoryGroups = memoryGroups
  }

  /// Reads the limits from getrlimit(2), /proc/self and the control groups.
  package static func current() -> ResourceLimits {
    let pages = readSmallFile("/proc/self/statm")?.split(separator: " ").first.flatMap { UInt64($0) } ?? 0
    return ResourceLimits(
      fileBytes: limit(RLIMIT_FSIZE), addressBytes: limit(RLIMIT_AS), addressBytesUsed: pages * UInt64(getpagesize()),
      descriptors: limit(RLIMIT_NOFILE), descriptorsUsed: openDescriptors(), memoryGroups: MemoryGroup.current())
  }

  /// The group whose limit is the lowest: the first to be reached.
  package var tightestMemoryGroup: MemoryGroup? { memoryGroups.min { $0.limit < $1.limit } }

  /// Refuses a demand that does not fit, before any of it is taken.
  ///
  /// - Parameters:
  ///   - purpose: What it is for, as the beginning of a sentence: `shared memory with 3 other ranks`.
  ///   - rank: This rank; -1 before it is known.
  ///   - transport: The name of the transport that wants it; empty where none does.
  ///   - alternative: What to do instead of raising the limit, in the caller's words; it ends the sentence.
  /// - Throws: `.resources`, saying how much is wanted, how much is there, and which limit to raise.
  package func check(
    _ demand: ResourceDemand, for purpose: String, rank: Int, transport: String, orElse alternative: String
  ) throws(FailureReport) {
    func refusal(_ wanted: String, _ advice: String) -> FailureReport {
      FailureReport(
        .resources, rank: rank, peer: rank, "\(purpose) needs \(wanted)", advice: advice + ", or \(alternative)",
        transport: transport)
    }
    if let limit = fileBytes, UInt64(demand.fileBytes) > limit {
      throw refusal(
        "an anonymous file of \(Self.text(demand.fileBytes)), and this process may make files of \(Self.text(limit)) (RLIMIT_FSIZE)",
        "Raise the limit of file sizes (in bash: ulimit -f \((demand.fileBytes + 1023) / 1024))")
    }
    if let limit = addressBytes, UInt64(demand.addressBytes) > limit - min(limit, addressBytesUsed) {
      throw refusal(
        "\(Self.text(demand.addressBytes)) of address space, and \(Self.text(limit - min(limit, addressBytesUsed))) of "
          + "\(Self.text(limit)) are left (RLIMIT_AS)",
        "Raise the limit of address space (ulimit -v \((Int(clamping: addressBytesUsed) + demand.addressBytes + 1023) / 1024) or more)"
      )
    }
    if let limit = descriptors, UInt64(demand.descriptors) > limit - min(limit, descriptorsUsed) {
      throw refusal(
        "\(demand.descriptors) more descriptors, and \(limit - min(limit, descriptorsUsed)) of \(limit) are left (RLIMIT_NOFILE)",
        "Raise the limit of open files (ulimit -n \(Int(clamping: descriptorsUsed) + demand.descriptors) or more)")
    }
    for group in memoryGroups {
      let ranks = group == tightestMemoryGroup ? demand.ranksTouching : 1
      let wanted = demand.touchedBytes * ranks
      if UInt64(wanted) <= group.left { continue }
      throw refusal(
        "\(Self.text(wanted)) of memory" + (ranks > 1 ? " for the \(ranks) ranks of its control group" : "")
          + ", and \(Self.text(group.left)) of \(Self.text(group.limit)) are left (\(group.file))",
        "Raise the memory limit of the container or job by \(Self.text(wanted - Int(clamping: group.left))) or more")
    }
  }

  // MARK: Reading

  private static func limit(_ resource: __rlimit_resource) -> UInt64? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0, limit.rlim_cur != rlim_t.max else { return nil }
    return UInt64(limit.rlim_cur)
  }

  private static func openDescriptors() -> UInt64 {
    guard let folder = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(folder) }
    var count: UInt64 = 0
    while readdir(folder) != nil { count += 1 }
    // Without ".", "..", and the folder itself.
    return count > 3 ? count - 3 : 0
  }

  /// What is wanted, rounded up: `10.5 MiB`.
  private static func text(_ bytes: Int) -> String { text(UInt64(bytes), roundedUp: true) }

  /// What is there, rounded down.
  private static func text(_ bytes: UInt64, roundedUp: Bool = false) -> String {
    for (unit, shift) in [("GiB", UInt64(30)), ("MiB", 20), ("KiB", 10)] where bytes >= 1 << shift {
      // Beyond what tenths have room for, whole units are exact enough.
      let isHuge = bytes > UInt64.max / 16
      let tenths = isHuge ? (bytes >> shift) * 10 : (bytes * 10 + (roundedUp ? (1 << shift) - 1 : 0)) >> shift
      return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    return "\(bytes) bytes"
  }
}
