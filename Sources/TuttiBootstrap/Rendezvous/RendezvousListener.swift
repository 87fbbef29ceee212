import Glibc
import TuttiSystem

/// Opens rank 0's listener at an address that all ranks know.
struct RendezvousListener {
  let rendezvous: RendezvousAddress
  /// Whether `localhost` stands for a host that others know by another name: not where whoever reaches the port gets in.
  let localhostIsEverywhere: Bool
  /// Addresses that lead to this host in another way than by an interface of its own.
  let advertised: [SocketAddress]
  let deadline: UInt64
  let clock: MonotonicClock

  /// How long a port that is in use is waited for: the job that has it may just be ending, or meeting.
  static let busyPortPatience = 5 * Clock.second

  func open() throws(FailureReport) -> OwnedDescriptor {
    switch rendezvous {
    case .abstractUnix(let name):
      return try listen(.abstractUnix(name))
    case .tcp("localhost", let port) where !localhostIsEverywhere:
      return try listen(.ipv4(0x7F00_0001, port: port))
    case .tcp(let host, let port):
      try NameResolution.checkScope(of: host)
      if let written = SocketAddress(numeric: host, port: port), !advertised.contains(written.withPort(0)) {
        let numeric = Interfaces.completed(written)
        if numeric.lacksScope { throw report(EADDRNOTAVAIL) }
        return try listen(numeric, dualStack: numeric.isUnspecified)
      }
      // A host's own name often resolves to a loopback address on that host alone, and a service name to no address of it;
      // and others may know rank 0's `localhost` by its address.
      do {
        return try listen(.ipv6(0, 0, port: port), dualStack: true)
      } catch  where error.systemError == EAFNOSUPPORT || error.systemError == EADDRNOTAVAIL {
        return try listen(.ipv4(0, port: port))
      }
    }
  }

  private func listen(_ address: SocketAddress, dualStack: Bool = false) throws(FailureReport) -> OwnedDescriptor {
    let limit = min(deadline, clock.now() + Self.busyPortPatience)
    while true {
      do {
        return try Sockets.listen(on: address, dualStack: dualStack)
      } catch {
        guard error.systemError == EADDRINUSE, clock.now() < limit else { throw report(error.systemError) }
      }
      clock.pause(100 * Clock.millisecond)
    }
  }

  private func report(_ code: Int32) -> FailureReport {
    let advice =
      switch code {
      case EADDRINUSE:
        "Another program, or another rank 0, listens there: choose a free port in TUTTI_RENDEZVOUS or MASTER_PORT"
      case EADDRNOTAVAIL:
        "It is not an address of this host: start rank 0 on the host that has it, or name this host; where a NAT leads from "
          + "the address to this host, set TUTTI_ADVERTISE to it on rank 0"
      case EACCES: "Choose a port above 1023"
      default: "Check TUTTI_RENDEZVOUS or MASTER_ADDR and MASTER_PORT"
      }
    return FailureReport(
      .rendezvous, rank: 0, "rank 0 cannot listen at the rendezvous \(rendezvous)", advice: advice, systemError: code)
  }
}
