import Glibc
import TuttiSystem

/// Host names to addresses, with a deadline: getaddrinfo(3) has none, so it runs on a thread of its own that is left behind
/// when it takes too long.
enum NameResolution {
  private final class Answer: Sendable {
    let value = Lock<(done: Bool, addresses: [SocketAddress], problem: String)>((false, [], ""))
  }

  /// - Returns: The name's addresses in the system's order; link-local ones of IPv6 over the interfaces that may lead to
  ///   them.
  /// - Throws: `.rendezvous` when the name does not resolve by `deadline`; `.configuration` for an interface that this host
  ///   does not have.
  static func resolve(
    _ name: String, port: UInt16, deadline: UInt64, clock: MonotonicClock
  ) throws(FailureReport) -> [SocketAddress] {
    if let numeric = SocketAddress(numeric: name, port: port) {
      let ways = Interfaces.ways(to: numeric)
      if !ways.isEmpty { return ways }
      throw FailureReport(
        .rendezvous, "\(name) is a link-local address, and no interface of this host that is up has one",
        advice: "Name the host by another address")
    }
    try checkScope(of: name)
    let answer = Answer()
    try startDetachedThread("tutti-resolve") {
      let found = lookUp(name, port: port)
      answer.value.withLock { $0 = (true, found.addresses, found.problem) }
    }
    let done = clock.wait(until: deadline) { answer.value.withLock { $0.done } }
    let (addresses, problem) = answer.value.withLock { ($0.addresses, $0.problem) }
    guard done, !addresses.isEmpty else {
      throw FailureReport(
        .rendezvous, "the rendezvous host \"\(name)\" has no address: \(done ? problem : "no answer in time")",
        advice: "Check TUTTI_RENDEZVOUS or MASTER_ADDR for a misspelt name, and that this host can resolve it")
    }
    return addresses
  }

  /// Refuses an address whose interface this host does not have: there is no such name to look up.
  static func checkScope(of name: String) throws(FailureReport) {
    guard name.contains("%"), SocketAddress(numeric: name, port: 0) == nil else { return }
    let known = Set(Interfaces.list().filter { $0.address.scope != 0 }.map(\.name)).sorted().joined(separator: ", ")
    throw FailureReport(
      .configuration, "the rendezvous host \"\(name)\" is no link-local address over an interface of this host",
      advice: "Write it as fe80::1%eth0, with the interface by which this host reaches it"
        + (known.isEmpty ? "; none has a link-local address" : ", one of \(known)"))
  }

  private static func lookUp(_ name: String, port: UInt16) -> (addresses: [SocketAddress], problem: String) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var head: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name, nil, &hints, &head)
    guard code == 0 else { return ([], String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(head) }
    var addresses: [SocketAddress] = []
    var next = head
    while let current = next?.pointee {
      next = current.ai_next
      guard let pointer = current.ai_addr, let address = SocketAddress(UnsafePointer(pointer))?.withPort(port),
        !address.lacksScope, !addresses.contains(address)
      else { continue }
      addresses.append(address)
    }
    return (addresses, addresses.isEmpty ? "only link-local addresses, without an interface" : "")
  }
}
