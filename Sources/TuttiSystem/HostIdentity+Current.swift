import Glibc
import TuttiTopology

// The host that this process runs on.

extension HostIdentity {
  package static func current() -> HostIdentity {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let name = String(untilNull: buffer)
    let boot = readSmallFile("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first.map(String.init)
    return HostIdentity(name: name, identity: "\(boot ?? name)/\(namespaceInode("net"))")
  }
}
