import Glibc
import TuttiSystem

// Failures to make a device's resources: memory regions, queue pairs, completion queues. Most often the limit on locked
// memory is the cause, and the kernel says only ENOMEM.

extension RDMAErrorText {
  /// How much this process may lock in memory. Registered memory counts as locked.
  package struct LockedMemory: Sendable {
    /// RLIMIT_MEMLOCK in bytes; nil without a limit.
    package let limit: UInt64?
    /// What it has pinned already: VmPin of /proc/self/status.
    package let pinned: UInt64

    package init(limit: UInt64?, pinned: UInt64) {
      self.limit = limit
      self.pinned = pinned
    }

    package static func current() -> LockedMemory {
      var limit = rlimit()
      let isKnown = getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0
      let line = readSmallFile("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("VmPin:") }
      let kibibytes = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { UInt64($0) } ?? 0
      return LockedMemory(
        limit: isKnown && limit.rlim_cur != rlim_t.max ? UInt64(limit.rlim_cur) : nil, pinned: kibibytes << 10)
    }
  }

  static let lockAdvice =
    "Raise the limit of locked memory (ulimit -l unlimited; memlock in /etc/security/limits.conf, LimitMEMLOCK= of systemd, "
    + "docker --ulimit memlock=-1)"

  /// The failure of a call that makes something.
  ///
  /// - Parameters:
  ///   - call: `ibv_reg_mr`, `ibv_create_qp`, `ibv_create_cq`, `ibv_alloc_pd`, `ibv_open_device`.
  ///   - error: Its errno.
  ///   - bytes: The bytes of memory that it should register or needs for its queues; 0 when not known.
  package static func resource(
    call: String, error: Int32, bytes: Int = 0, device: String, rank: Int, peer: Int = -1,
    locked: LockedMemory = .current()
  ) -> FailureReport {
    let what = what(call, bytes)
    let (code, meaning, advice) = resourceText(call, error, bytes, what, device, locked)
    return FailureReport(
      code, rank: rank, peer: peer, "\(meaning) (\(call))", advice: advice, transport: transport, systemError: error)
  }

  private static func what(_ call: String, _ bytes: Int) -> String {
    switch call {
    case "ibv_reg_mr": "register \(kibibytes(bytes)) of memory"
    case "ibv_create_qp": "make a queue pair"
    case "ibv_create_cq": "make a completion queue"
    case "ibv_alloc_pd": "make a protection domain"
    case "ibv_open_device": "be opened"
    default: "do what was asked"
    }
  }

  private static func resourceText(
    _ call: String, _ error: Int32, _ bytes: Int, _ what: String, _ device: String, _ locked: LockedMemory
  ) -> (FailureCode, String, String) {
    switch error {
    case ENOMEM:
      return outOfMemory(bytes, what, device, locked)
    case EPERM, EACCES:
      return (
        .transport, "\(device) may not \(what) for this process",
        "Let its user open /dev/infiniband/uverbs* for reading and writing (udev, container options, SELinux)"
      )
    case EFAULT where call == "ibv_reg_mr":
      return (
        .invalidArgument,
        "\(device) cannot \(what): part of it is not mapped, not writable, or of a kind that cannot be pinned",
        "Give memory that stays mapped and writable; files on some file systems cannot be registered"
      )
    case EINVAL:
      return (
        .transport, "\(device) refused to \(what): its limits are lower than what was asked for",
        "See max_qp_wr, max_sge and max_mr_size of ibv_devinfo -v; fewer queue pairs or smaller messages may fit"
      )
    case ENODEV, EIO, ENXIO:
      return (.transport, "\(device) is gone or broken, so it cannot \(what)", "See the kernel's log (dmesg) for \(device)")
    case ENOSPC, EAGAIN, EMFILE, ENFILE:
      return (
        .resources, "\(device) has nothing left to \(what)",
        error == EMFILE || error == ENFILE
          ? "Raise the limit of open files (ulimit -n)"
          : "See rdma resource show for who holds what; fewer ranks or queue pairs on this host may fit"
      )
    case EOPNOTSUPP, ENOSYS:
      return (
        .transport, "\(device) does not know how to \(what)",
        "It, or the driver library in this container, is too old; choose another transport"
      )
    default: return (.transport, "\(device) could not \(what)", "See the kernel's log (dmesg) for \(device)")
    }
  }

  private static func outOfMemory(
    _ bytes: Int, _ what: String, _ device: String, _ locked: LockedMemory
  ) -> (FailureCode, String, String) {
    let wanted = UInt64(max(bytes, 0))
    guard let limit = locked.limit, bytes <= 0 || locked.pinned + wanted > limit else {
      return (
        .resources, "\(device) cannot \(what): the host or the device has no room for it",
        "See free and rdma resource show; fewer ranks on this host or less registered memory may fit"
      )
    }
    let needed = (locked.pinned + wanted + 1023) >> 10
    let enough = bytes > 0 ? "\(needed) or more" : "unlimited"
    return (
      .resources,
      "\(device) cannot \(what): locked memory is limited to \(limit >> 10) KiB, \(locked.pinned >> 10) KiB are in use",
      "Set ulimit -l \(enough) (unlimited is usual): memlock in /etc/security/limits.conf, LimitMEMLOCK= of systemd, "
        + "docker --ulimit memlock=-1"
    )
  }

  private static func kibibytes(_ bytes: Int) -> String { "\((bytes + 1023) >> 10) KiB" }
}
