import CTuttiLinux
import Glibc

// Sockets as the bootstrap uses them: non-blocking, close-on-exec, registered to be closed in forked children, never raising
// SIGPIPE.

package enum Sockets {
  /// Waits until `descriptor` is ready for `events`, has an error or was hung up. False at the deadline.
  package static func wait(
    _ descriptor: Int32, for events: Int32, until deadline: UInt64, clock: MonotonicClock = .system
  ) -> Bool {
    let found = clock.poll(until: deadline) { milliseconds in
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = Glibc.poll(&entry, 1, milliseconds)
      return count < 0 && errno == EINTR ? 0 : count
    }
    return found != 0
  }

  /// Waits until one of the descriptors has input, an error or an end, and returns which have. None at the deadline; may
  /// return early. An entry of nil never has.
  package static func awaitInput(
    on descriptors: [Int32?], until deadline: UInt64, clock: MonotonicClock = .system
  ) -> [Bool] {
    var entries = descriptors.map { pollfd(fd: $0 ?? -1, events: Int16(POLLIN), revents: 0) }
    _ = clock.poll(until: deadline) { milliseconds in
      let count = Glibc.poll(&entries, nfds_t(entries.count), milliseconds)
      return count < 0 && errno == EINTR ? 0 : count
    }
    return entries.map { $0.revents != 0 }
  }

  /// How many files this process may open (`RLIMIT_NOFILE`).
  package static var openFilesMax: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// Connections that wait to be accepted, on one listener.
  package static let backlog: Int32 = 1024

  /// Starts listening on `address` (port 0: any). Throws with `errno` in ``FailureReport/systemError``.
  package static func listen(on address: SocketAddress, dualStack: Bool = false) throws(FailureReport) -> OwnedDescriptor {
    let socket = OwnedDescriptor(try systemCall("socket") { tutti_socket(address.family, Int32(SOCK_STREAM.rawValue)) })
    if address.family != AF_UNIX {
      // A listener of the last run leaves connections in TIME_WAIT; they do not make the port busy.
      setOption(socket.raw, SOL_SOCKET, SO_REUSEADDR, 1)
    }
    if address.family == AF_INET6 { setOption(socket.raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, dualStack ? 0 : 1) }
    let raw = socket.raw
    try systemCall("bind") { address.withSocketAddress { bind(raw, $0, $1) } }
    try systemCall("listen") { Glibc.listen(raw, backlog) }
    return socket
  }

  /// Takes over a socket that the program made and that listens already.
  ///
  /// - Parameter descriptor: Owned from here on: closed when this throws.
  /// - Returns: The same descriptor, as all of the library's are: non-blocking, close-on-exec, registered.
  package static func adoptListener(_ descriptor: Int32) throws(FailureReport) -> OwnedDescriptor {
    var listens: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    let isSocket = getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0
    let failure = isSocket ? 0 : errno
    guard isSocket, listens != 0 else {
      // A number that is not a descriptor must not be closed: another thread may open one with that number.
      if failure != EBADF { close(descriptor) }
      throw FailureReport(
        .invalidArgument, "descriptor \(descriptor) is not a listening socket",
        advice: "Call bind and listen on a stream socket before handing it over", systemError: failure)
    }
    let socket = OwnedDescriptor(descriptor)
    tutti_register_descriptor(descriptor)
    let flags = try systemCall("fcntl") { fcntl(descriptor, F_GETFL) }
    try systemCall("fcntl") { fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
    try systemCall("fcntl") { fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    return socket
  }

  /// Connects to `address`, waiting until `deadline` at most.
  ///
  /// - Parameter giveUp: Called every 50 ms; true ends the attempt with `ECANCELED`.
  /// - Returns: The socket, or the `errno` of the failure; `ETIMEDOUT` at the deadline.
  package static func connect(
    to address: SocketAddress, deadline: UInt64, clock: MonotonicClock = .system, giveUp: () -> Bool = { false }
  ) -> Result<OwnedDescriptor, SystemError> {
    let raw = tutti_socket(address.family, Int32(SOCK_STREAM.rawValue))
    guard raw >= 0 else { return .failure(SystemError(code: errno)) }
    let socket = OwnedDescriptor(raw)
    if address.withSocketAddress({ Glibc.connect(raw, $0, $1) }) < 0 {
      let code = errno
      // An abstract Unix socket whose backlog is full answers EAGAIN and does not go on by itself.
      guard code == EINPROGRESS || code == EINTR else { return .failure(SystemError(code: code)) }
      while true {
        if giveUp() { return .failure(SystemError(code: ECANCELED)) }
        if wait(raw, for: POLLOUT, until: min(deadline, clock.now() + 50 * Clock.millisecond), clock: clock) { break }
        if clock.now() >= deadline { return .failure(SystemError(code: ETIMEDOUT)) }
      }
      var failure: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(raw, SOL_SOCKET, SO_ERROR, &failure, &length)
      if failure != 0 { return .failure(SystemError(code: failure)) }
    }
    // Dialing a free port of this host's ephemeral range can pick that same port as the source: the socket is connected to
    // itself.
    if address.family != AF_UNIX, localAddress(raw) == remoteAddress(raw) {
      return .failure(SystemError(code: ECONNREFUSED))
    }
    prepare(raw, family: address.family)
    return .success(socket)
  }

  /// Sets the options that every connection of a job has: no delay for small messages, and probes that notice when an idle
  /// peer's host is gone.
  package static func prepare(_ socket: Int32, family: Int32) {
    guard family != AF_UNIX else { return }
    setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 3)
    setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 2)
    setOption(socket, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
  }

  /// Ends a TCP connection when sent bytes or probes stay unacknowledged for so long. For control connections only: a peer's
  /// service thread always reads, while a data connection's peer may compute for long with its window closed, which this
  /// limit would count too.
  package static func limitSilence(_ socket: Int32, _ patience: LinkPatience) {
    guard localAddress(socket) != nil else { return }
    setOption(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(clamping: patience.seconds * 1000))
  }

  private static func setOption(_ socket: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    setsockopt(socket, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Whether the process at the other end of a Unix socket runs as this one's user, as the kernel says (SO_PEERCRED of
  /// unix(7)).
  package static func isOfOwnUser(_ socket: Int32) -> Bool {
    var process: pid_t = 0
    var user: uid_t = 0
    return tutti_peer_credentials(socket, &process, &user) == 0 && user == geteuid()
  }

  package static func localAddress(_ socket: Int32) -> SocketAddress? { address(socket, getsockname) }

  package static func remoteAddress(_ socket: Int32) -> SocketAddress? { address(socket, getpeername) }

  private static func address(
    _ socket: Int32, _ query: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        query(socket, $0, &length) == 0 ? SocketAddress(UnsafePointer($0)) : nil
      }
    }
  }

  /// Sends as much as fits now. Returns the number of bytes, 0 when nothing fits, or the `errno`.
  package static func sendNow(_ socket: Int32, _ bytes: ArraySlice<UInt8>) -> Result<Int, SystemError> {
    while true {
      let sent = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if sent >= 0 { return .success(sent) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .success(0)
      case let code: return .failure(SystemError(code: code))
      }
    }
  }

  /// The result of reading a socket.
  package enum Received {
    case bytes([UInt8])
    case nothing
    /// The other side has closed: code 0, or an `errno`.
    case end(Int32)
  }

  /// Takes up to `max` bytes that are there now.
  package static func receiveNow(_ socket: Int32, max: Int) -> Received {
    var count = 0
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: max) { buffer, filled in
      repeat {
        count = recv(socket, buffer.baseAddress, max, 0)
        code = errno
      } while count < 0 && code == EINTR
      filled = Swift.max(count, 0)
    }
    if count > 0 { return .bytes(bytes) }
    if count == 0 { return .end(0) }
    return code == EAGAIN ? .nothing : .end(code)
  }
}

/// An `errno` value.
package struct SystemError: Error, Equatable {
  package let code: Int32

  package init(code: Int32) { self.code = code }
}
