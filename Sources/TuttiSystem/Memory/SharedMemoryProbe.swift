import CTuttiLinux
import Glibc

/// Finds out whether this process can share memory. It does once, with itself, all that a link needs: it makes an anonymous
/// sealed file, maps it, and passes descriptors over a Unix socket. A sandbox may forbid each. This takes about 50
/// microseconds.
package enum SharedMemoryProbe {
  /// What the system refused, as `memfd_create: Operation not permitted`; empty when everything worked.
  package static func obstacle() -> String {
    do throws(FailureReport) {
      try tryAll()
      return ""
    } catch {
      // tutti_memfd reports this error instead of letting the limit's signal end the process.
      if error.systemError == EFBIG {
        return "\(error.message): this process may not make files of \(bytes) bytes, RLIMIT_FSIZE"
      }
      return error.systemError == 0 ? error.message : "\(error.message): \(errorText(error.systemError))"
    }
  }

  private static let bytes = 4096
  private static let mark: UInt64 = 0x6974_7475

  private static func tryAll() throws(FailureReport) {
    let memory = OwnedDescriptor(try attempt("memfd_create") { tutti_memfd("tutti-probe", bytes) })
    let doorbell = OwnedDescriptor(try attempt("eventfd") { tutti_eventfd() })
    let own = try map(memory.raw, PROT_READ | PROT_WRITE)
    defer { munmap(own, bytes) }
    own.storeBytes(of: mark, as: UInt64.self)

    var sockets: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    try attempt("socketpair") { socketpair(AF_UNIX, kind, 0, &sockets) }
    defer { for socket in sockets { close(socket) } }
    var byte: UInt8 = 1
    let descriptors = [memory.raw, doorbell.raw]
    try attempt("sendmsg with descriptors") {
      withUnsafeBytes(of: byte) { Sockets.sendDescriptors(descriptors, with: $0, over: sockets[0]) }
    }
    let (count, received, code) = withUnsafeMutableBytes(of: &byte) { Sockets.receiveDescriptors(sockets[1], into: $0) }
    if count < 0 { throw FailureReport(.transport, "recvmsg with descriptors", systemError: code) }
    guard received.count == 2 else {
      throw FailureReport(.transport, "descriptors passed over a Unix socket do not arrive")
    }
    let passed = received[0].take()
    try SealedMemory.check(passed.raw, bytes: UInt64(bytes), what: "what was passed over a Unix socket")
    let theirs = try map(passed.raw, PROT_READ)
    defer { munmap(theirs, bytes) }
    guard theirs.load(as: UInt64.self) == mark else {
      throw FailureReport(.transport, "mmap: a second mapping shows other memory")
    }
  }

  private static func map(_ descriptor: Int32, _ protection: Int32) throws(FailureReport) -> UnsafeMutableRawPointer {
    guard let base = mmap(nil, bytes, protection, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw FailureReport(.transport, "mmap", systemError: errno)
    }
    return base
  }

  @discardableResult
  private static func attempt<Value: SignedInteger>(_ name: String, _ body: () -> Value) throws(FailureReport) -> Value {
    let value = body()
    if value < 0 { throw FailureReport(.transport, name, systemError: errno) }
    return value
  }
}
