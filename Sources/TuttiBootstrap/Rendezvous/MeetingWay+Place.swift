import TuttiSystem

// On which addresses a rank listens, by what it knows of how the others reach it.

extension MeetingWay {
  func place(of leader: RendezvousLeader) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    let seen = leader.addressesSeen
    guard let address = identity.rendezvous else {
      // All came over the Unix socket: there is no network.
      return seen.isEmpty ? .only(loopback) : .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
    }
    guard case .tcp(let host, _) = address, !address.isLoopback else { return .only(loopback) }
    if let numeric = SocketAddress(numeric: host, port: 0), !numeric.isUnspecified { return .only(numeric) }
    return .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
  }

  func place(of guest: RendezvousGuest) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    guard identity.rendezvous?.isLoopback != true, let local = guest.localAddress else { return .only(loopback) }
    // Rank 0's host name led to a loopback address here: good for this host's ranks, not for those of others.
    if local.isLoopback { return .everywhere(Interfaces.reachable() + [local]) }
    // Rank 0 named all its addresses, and which one a rank of its own host took says nothing about the others.
    if identity.rendezvous == nil, guest.isOnHostOfRankZero {
      return .everywhere([local] + Interfaces.reachable().filter { $0 != local })
    }
    return .only(local)
  }

  private var loopback: SocketAddress {
    if case .tcp(let host, _)? = identity.rendezvous, let numeric = SocketAddress(numeric: host, port: 0) { return numeric }
    return .ipv4(0x7F00_0001, port: 0)
  }
}
