import CTuttiLinux
import Glibc
import TuttiSystem

/// Tells a survey where to read: the folders of the kernel, the addresses, and what the process may do there.
package struct RDMAHost: Sendable {
  /// /sys.
  package var sysfs: String
  /// /dev.
  package var deviceFolder: String
  package var addresses: [InterfaceAddress]
  /// What this build or its libraries lack for any RDMA; nil when they lack nothing.
  package var obstacle: String?
  /// Returns the `errno` that says why a file cannot be opened for reading and writing, or 0 when it can: access(2).
  package var access: @Sendable (String) -> Int32

  package init(
    sysfs: String, deviceFolder: String, addresses: [InterfaceAddress], obstacle: String? = nil,
    access: @escaping @Sendable (String) -> Int32 = RDMAHost.systemAccess
  ) {
    self.sysfs = sysfs
    self.deviceFolder = deviceFolder
    self.addresses = addresses
    self.obstacle = obstacle
    self.access = access
  }

  package static func current() -> RDMAHost {
    RDMAHost(
      sysfs: "/sys", deviceFolder: "/dev", addresses: InterfaceAddress.list(), obstacle: libraryObstacle)
  }

  package static let systemAccess: @Sendable (String) -> Int32 = { path in
    Glibc.access(path, R_OK | W_OK) == 0 ? 0 : errno
  }

  #if RDMA
    /// The libraries are opened and left open: a device that is used needs them anyway, and libibverbs is not made to be
    /// closed.
    private static let libraryObstacle: String? = {
      for (name, package) in [("libibverbs.so.1", "libibverbs1"), ("librdmacm.so.1", "librdmacm1")]
      where dlopen(name, RTLD_NOW | RTLD_LOCAL) == nil {
        let reason = dlerror().map { String(cString: $0) } ?? "it cannot be opened"
        // "libibverbs.so.1: cannot open shared object file: ..." already begins with the name.
        return (reason.hasPrefix(name) ? reason : "\(name): \(reason)") + " (on Debian in \(package))"
      }
      return nil
    }()
  #else
    private static let libraryObstacle: String? = "Tutti was built without RDMA (package trait RDMA)"
  #endif

  /// Why no connection can be made, though there may be devices.
  var connectionObstacle: String? {
    let path = "\(deviceFolder)/infiniband/rdma_cm"
    return obstacle(to: path, whenMissing: "is the kernel module rdma_ucm loaded, and does this container have the file?")
  }

  func obstacle(to path: String, whenMissing: String) -> String? {
    switch access(path) {
    case 0: nil
    case ENOENT: "there is no \(path): \(whenMissing)"
    case let code: "no permission to open \(path) (\(errorText(code)))"
    }
  }
}
