import CTuttiLinux
import Glibc
import TuttiSystem

/// Sets the options of a data socket, and says what the kernel granted.
///
/// Buffers have a fixed size because autotuned ones are bimodal: the same 16 MiB transfer takes one of two very different
/// times. Apply the options before `listen` and `connect` as well, because the receive window's scale is agreed on then.
package struct TCPSocketOptions: Equatable, Sendable {
  /// Bytes asked for in each direction.
  package static let bufferBytesWanted = 4 << 20
  /// What the kernel reports, which is twice the usable size.
  package let sendBufferBytes: Int
  package let receiveBufferBytes: Int

  /// Sets `socket` to non-blocking, without delay, with fixed buffers and keepalive.
  ///
  /// - Parameter patience: How long the network may carry nothing.
  /// - Throws: `.transport` with the option's name where the kernel refuses one. Smaller buffers are no error.
  package static func apply(
    to socket: Int32, patience: LinkPatience = .standard
  ) throws(FailureReport) -> TCPSocketOptions {
    let flags = try systemCall("fcntl(F_GETFL)") { fcntl(socket, F_GETFL) }
    try systemCall("fcntl(F_SETFL)") { fcntl(socket, F_SETFL, flags | O_NONBLOCK) }
    let tcp = Int32(IPPROTO_TCP)
    try set("setsockopt(TCP_NODELAY)", socket, tcp, TCP_NODELAY, 1)
    // There is no limit on how long sent bytes may stay unacknowledged, whatever the socket had before: since Linux 5.11
    // that limit counts the time in which a live peer's window is closed, and a rank that computes does not read. While the
    // peer is alive, the call's own limit counts. These probes, where nothing is on its way, and the control plane notice
    // that its host is gone.
    try set("setsockopt(TCP_USER_TIMEOUT)", socket, tcp, TCP_USER_TIMEOUT, 0)
    try set("setsockopt(SO_KEEPALIVE)", socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    try set("setsockopt(TCP_KEEPIDLE)", socket, tcp, TCP_KEEPIDLE, 15)
    try set("setsockopt(TCP_KEEPINTVL)", socket, tcp, TCP_KEEPINTVL, 5)
    try set("setsockopt(TCP_KEEPCNT)", socket, tcp, TCP_KEEPCNT, Int32(min(max(9, (patience.seconds - 15 + 4) / 5), 127)))
    return TCPSocketOptions(
      sendBufferBytes: try setBuffer(socket, forced: SO_SNDBUFFORCE, plain: SO_SNDBUF, "getsockopt(SO_SNDBUF)"),
      receiveBufferBytes: try setBuffer(socket, forced: SO_RCVBUFFORCE, plain: SO_RCVBUF, "getsockopt(SO_RCVBUF)"))
  }

  private static func set(
    _ name: StaticString, _ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32
  ) throws(FailureReport) {
    var value = value
    try systemCall(name) { setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) }
  }

  /// Sets a buffer's size. Root may exceed `net.core.wmem_max` and `rmem_max`; everybody else is silently held to them.
  private static func setBuffer(
    _ socket: Int32, forced: Int32, plain: Int32, _ name: StaticString
  ) throws(FailureReport) -> Int {
    var value = Int32(bufferBytesWanted)
    let length = socklen_t(MemoryLayout<Int32>.size)
    if setsockopt(socket, SOL_SOCKET, forced, &value, length) < 0 {
      setsockopt(socket, SOL_SOCKET, plain, &value, length)
    }
    var granted: Int32 = 0
    var grantedLength = length
    try systemCall(name) { getsockopt(socket, SOL_SOCKET, plain, &granted, &grantedLength) }
    return Int(granted)
  }
}
