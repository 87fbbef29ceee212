import TuttiSystem
import TuttiTopology

// On which addresses a rank listens, by what it knows of how the others reach it, and in which order others try them.

extension MeetingWay {
  func settings(_ place: MemberListeners.Place) -> MemberListeners.Settings {
    MemberListeners.Settings(place: place, portRange: network.portRange, advertised: network.advertised)
  }

  func place(of leader: RendezvousLeader) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    let seen = leader.addressesSeen
    guard let address = identity.rendezvous else {
      // All came over the Unix socket: there is no network.
      return seen.isEmpty ? .only(loopback) : .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
    }
    if isThisHostAlone(address) { return .only(loopback) }
    // One that is not this host's leads to it in another way.
    if case .tcp(let host, _) = address, let numeric = SocketAddress(numeric: host, port: 0), !numeric.isUnspecified,
      !network.advertised.contains(numeric)
    {
      return .only(Interfaces.completed(numeric))
    }
    return .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
  }

  func place(of guest: RendezvousGuest) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    if let address = identity.rendezvous, isThisHostAlone(address) { return .only(loopback) }
    guard let local = guest.localAddress else { return .only(loopback) }
    // Rank 0's host name led to a loopback address here: good for this host's ranks, not for those of others.
    if local.isLoopback { return .everywhere(Interfaces.reachable() + [local]) }
    // Which of several addresses a rank of rank 0's host took says nothing about the others.
    if identity.rendezvous == nil, guest.isOnHostOfRankZero {
      return .everywhere([local] + Interfaces.reachable().filter { $0 != local })
    }
    return .only(local)
  }

  /// The members with the addresses first that others really came in on, for those on rank 0's host: they listen at all of
  /// them, and cannot know which are bridges that lead nowhere.
  func inOrder(_ members: [MemberRecord], of leader: RendezvousLeader) -> [MemberRecord] {
    let host = HostIdentity.current()
    guard members.contains(where: { $0.addresses.count > 1 && $0.host == host }) else { return members }
    let seen = Set(leader.addressesSeen)
    let ofThisHost = Set(Interfaces.list().map(\.address))
    // What is advertised is no interface's, and stays in front.
    func place(_ address: SocketAddress) -> Int { !ofThisHost.contains(address) ? 0 : seen.contains(address) ? 1 : 2 }
    return members.map { member in
      guard member.addresses.count > 1, member.host == host else { return member }
      var ordered = member
      ordered.addresses = (0...2).flatMap { number in member.addresses.filter { place($0.withPort(0)) == number } }
      return ordered
    }
  }

  /// Whether the rendezvous is written so that it can only mean this host. The name `localhost` is a name like any other to
  /// those who prove a secret; without one, nobody from elsewhere gets in by it.
  private func isThisHostAlone(_ address: RendezvousAddress) -> Bool {
    address.isLoopback || address.isLocalhost && secret?.isAuthenticated == false
  }

  private var loopback: SocketAddress {
    if case .tcp(let host, _)? = identity.rendezvous, let numeric = SocketAddress(numeric: host, port: 0) { return numeric }
    return .ipv4(0x7F00_0001, port: 0)
  }
}
