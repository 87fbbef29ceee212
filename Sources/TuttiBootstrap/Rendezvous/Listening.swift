import Glibc
import TuttiSystem

/// The listeners of one rank for control and data connections: one TCP socket and one abstract Unix socket.
struct MemberListeners: ~Copyable {
  private var sockets: [PassedDescriptor] = []
  private(set) var addresses: [SocketAddress] = []
  /// What the Unix listener is named after.
  let number: CommunicatorID

  /// Where to listen.
  enum Place {
    /// On this address alone.
    case only(SocketAddress)
    /// On all of this host's addresses; others are told these.
    case everywhere([SocketAddress])
  }

  /// Where and on which ports a rank listens, for a communicator and for those split from it.
  struct Settings {
    let place: Place
    let portRange: ClosedRange<UInt16>?
    /// Addresses that lead here from elsewhere, which others try first.
    var advertised: [SocketAddress] = []

    /// The number of the interface over which link-local addresses are reached; 0 where none is known.
    var scope: UInt32 {
      switch place {
      case .only(let address): address.scope
      case .everywhere: 0
      }
    }
  }

  /// - Parameter number: A number that this rank drew; its Unix listener is named after it.
  init(rank: Int, _ settings: Settings, number: CommunicatorID = .random()) throws(FailureReport) {
    let portRange = settings.portRange
    self.number = number
    sockets.append(PassedDescriptor(try Sockets.listen(on: .abstractUnix(Self.unixName(number)))))
    switch settings.place {
    case .only(let address):
      let socket = PassedDescriptor(try Self.listen(rank: rank, on: address, dualStack: false, portRange: portRange))
      addresses = Self.addresses(settings.advertised, [address], Self.port(of: socket))
      sockets.append(socket)
    case .everywhere(let candidates):
      let socket = PassedDescriptor(try Self.listenEverywhere(rank: rank, portRange: portRange))
      addresses = Self.addresses(settings.advertised, candidates, Self.port(of: socket))
      sockets.append(socket)
    }
  }

  /// What others are told, best first.
  private static func addresses(
    _ advertised: [SocketAddress], _ own: [SocketAddress], _ port: UInt16
  ) -> [SocketAddress] {
    let all = advertised + own.filter { !advertised.contains($0.withPort(0)) }
    return all.prefix(MemberRecord.addressesMax).map { $0.withPort(port) }
  }

  static func unixName(_ number: CommunicatorID) -> String {
    "tutti-\(String(number.high, radix: 16))-\(String(number.low, radix: 16))"
  }

  /// Gives the sockets to their next owner.
  consuming func handOver() -> [PassedDescriptor] { sockets }

  private static func port(of socket: PassedDescriptor) -> UInt16 { Sockets.localAddress(socket.raw)?.port ?? 0 }

  private static func listenEverywhere(
    rank: Int, portRange: ClosedRange<UInt16>?
  ) throws(FailureReport) -> OwnedDescriptor {
    do {
      return try listen(rank: rank, on: .ipv6(0, 0, port: 0), dualStack: true, portRange: portRange)
    } catch  where error.systemError == EAFNOSUPPORT || error.systemError == EADDRNOTAVAIL {
      return try listen(rank: rank, on: .ipv4(0, port: 0), dualStack: false, portRange: portRange)
    }
  }

  private static func listen(
    rank: Int, on address: SocketAddress, dualStack: Bool, portRange: ClosedRange<UInt16>?
  ) throws(FailureReport) -> OwnedDescriptor {
    guard let portRange else { return try Sockets.listen(on: address.withPort(0), dualStack: dualStack) }
    // Ranks of one host start at different places, so that they do not all try the same ports.
    for offset in 0..<portRange.count {
      let port = portRange.lowerBound + UInt16((rank + offset) % portRange.count)
      do {
        return try Sockets.listen(on: address.withPort(port), dualStack: dualStack)
      } catch  where error.systemError == EADDRINUSE {
        continue
      }
    }
    throw FailureReport(
      .resources, rank: rank,
      "every port of TUTTI_PORT_RANGE=\(portRange.lowerBound)-\(portRange.upperBound) is in use on \(address.hostText)",
      advice: "Widen the range: each rank on a host needs a port for each communicator")
  }
}

/// Rank 0's listeners for a meeting, and what it tells others of them.
struct MeetingListeners {
  /// The next owner's.
  let sockets: [PassedDescriptor]
  let number: CommunicatorID
  /// What is left in the store; nil where all ranks know the address.
  let point: MeetingPoint?

  /// - Parameters:
  ///   - isAuthenticated: Whether those who come must prove a secret.
  ///   - publishedSecret: The job's secret for the store to tell; nil when it must not tell it.
  static func open(
    _ place: MeetingPlace, _ network: NetworkSettings, isAuthenticated: Bool, publishedSecret: JobSecret?,
    deadline: UInt64, clock: MonotonicClock
  ) throws(FailureReport) -> MeetingListeners {
    switch place {
    case .address(_, let listener?):
      return MeetingListeners(sockets: [try listener.take()], number: .meeting, point: nil)
    case .address(let address, nil):
      let listener = RendezvousListener(
        rendezvous: address, localhostIsEverywhere: isAuthenticated, advertised: network.advertised, deadline: deadline,
        clock: clock)
      return MeetingListeners(sockets: [PassedDescriptor(try listener.open())], number: .meeting, point: nil)
    case .store:
      return try openAnywhere(network, publishedSecret)
    }
  }

  private static func openAnywhere(
    _ network: NetworkSettings, _ publishedSecret: JobSecret?
  ) throws(FailureReport) -> MeetingListeners {
    let number = CommunicatorID.random()
    let candidates =
      try network.interface.map { text throws(FailureReport) in [try Interfaces.choose(text)] }
      ?? Interfaces.reachable()
    // Without a network only this host's ranks can come, over the Unix socket.
    let place: MemberListeners.Place =
      switch candidates.count {
      case 0: .only(.ipv4(0x7F00_0001, port: 0))
      case 1: .only(candidates[0])
      default: .everywhere(candidates)
      }
    let listeners = try MemberListeners(
      rank: 0,
      MemberListeners.Settings(place: place, portRange: network.portRange, advertised: network.advertised))
    let addresses = candidates.isEmpty && network.advertised.isEmpty ? [] : listeners.addresses
    let point = MeetingPoint(
      number: number, addresses: addresses, unixName: MemberListeners.unixName(listeners.number),
      secret: publishedSecret?.publishedBytes ?? [])
    return MeetingListeners(sockets: listeners.handOver(), number: number, point: point)
  }
}

/// A listening socket that the program made, until rank 0 meets the others at it. Closed with the last reference, if nobody
/// took it.
package final class ListeningSocket: Sendable {
  private let socket: Lock<PassedDescriptor?>

  /// - Parameter descriptor: Owned from here on, also when this throws.
  /// - Throws: `.invalidArgument`: it is no socket, or does not listen.
  package init(_ descriptor: Int32) throws(FailureReport) {
    socket = Lock(PassedDescriptor(try Sockets.adoptListener(descriptor)))
  }

  func take() throws(FailureReport) -> PassedDescriptor {
    let taken = socket.withLock { socket in
      defer { socket = nil }
      return socket
    }
    if let taken { return taken }
    throw FailureReport(
      .invalidArgument, rank: 0, "the listening socket has been used for another join", advice: "Open one for each")
  }
}
