import CTuttiLinux
import Glibc
import TuttiSystem

/// The listeners of one rank for control and data connections: one TCP socket and one abstract Unix socket.
struct MemberListeners: ~Copyable {
  private(set) var descriptors: [Int32]
  private(set) var addresses: [SocketAddress]
  private(set) var unixName: String

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
  }

  /// - Parameter number: Drawn by this rank; its Unix listener is named after it.
  init(rank: Int, _ settings: Settings, number: CommunicatorID = .random()) throws(FailureReport) {
    let portRange = settings.portRange
    descriptors = []
    unixName = Self.unixName(number)
    addresses = []
    do {
      descriptors.append(try Sockets.listen(on: .abstractUnix(unixName)))
      let tcp: (descriptor: Int32, port: UInt16)
      switch settings.place {
      case .only(let address):
        tcp = try Self.listen(rank: rank, on: address, dualStack: false, portRange: portRange)
        addresses = [address.withPort(tcp.port)]
      case .everywhere(let candidates):
        tcp = try Self.listenEverywhere(rank: rank, portRange: portRange)
        addresses = candidates.prefix(MemberRecord.addressesMax).map { $0.withPort(tcp.port) }
      }
      descriptors.append(tcp.descriptor)
    } catch {
      for descriptor in descriptors { tutti_close(descriptor) }
      descriptors = []
      throw error
    }
  }

  static func unixName(_ number: CommunicatorID) -> String {
    "tutti-\(String(number.high, radix: 16))-\(String(number.low, radix: 16))"
  }

  /// Gives the descriptors to their next owner.
  consuming func handOver() -> [Int32] {
    let result = descriptors
    descriptors = []
    return result
  }

  deinit { for descriptor in descriptors { tutti_close(descriptor) } }

  private static func listenEverywhere(
    rank: Int, portRange: ClosedRange<UInt16>?
  ) throws(FailureReport) -> (descriptor: Int32, port: UInt16) {
    do {
      return try listen(rank: rank, on: .ipv6(0, 0, port: 0), dualStack: true, portRange: portRange)
    } catch  where error.systemError == EAFNOSUPPORT || error.systemError == EADDRNOTAVAIL {
      return try listen(rank: rank, on: .ipv4(0, port: 0), dualStack: false, portRange: portRange)
    }
  }

  private static func listen(
    rank: Int, on address: SocketAddress, dualStack: Bool, portRange: ClosedRange<UInt16>?
  ) throws(FailureReport) -> (descriptor: Int32, port: UInt16) {
    guard let portRange else {
      let descriptor = try Sockets.listen(on: address.withPort(0), dualStack: dualStack)
      return (descriptor, Sockets.localAddress(descriptor)?.port ?? 0)
    }
    // Ranks of one host start at different places, so that they do not all try the same ports.
    for offset in 0..<portRange.count {
      let port = portRange.lowerBound + UInt16((rank + offset) % portRange.count)
      do {
        return (try Sockets.listen(on: address.withPort(port), dualStack: dualStack), port)
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

/// Rank 0's listener at the rendezvous.
enum RendezvousListener {
  /// - Returns: A listening socket, and whether it accepts on every address of this host.
  static func open(_ rendezvous: RendezvousAddress, deadline: UInt64) throws(FailureReport) -> (Int32, everywhere: Bool) {
    switch rendezvous {
    case .abstractUnix(let name):
      return (try listen(.abstractUnix(name), rendezvous), false)
    case .tcp("localhost", let port):
      return (try listen(.ipv4(0x7F00_0001, port: port), rendezvous), false)
    case .tcp(let host, let port):
      if let numeric = SocketAddress(numeric: host, port: port) { return (try listen(numeric, rendezvous), false) }
      // A host's own name often resolves to a loopback address on that host alone, and a service name to no address of it.
      do {
        return (try listen(.ipv6(0, 0, port: port), rendezvous, dualStack: true), true)
      } catch  where error.systemError == EAFNOSUPPORT || error.systemError == EADDRNOTAVAIL {
        return (try listen(.ipv4(0, port: port), rendezvous), true)
      }
    }
  }

  private static func listen(
    _ address: SocketAddress, _ rendezvous: RendezvousAddress, dualStack: Bool = false
  ) throws(FailureReport) -> Int32 {
    do {
      return try Sockets.listen(on: address, dualStack: dualStack)
    } catch {
      let advice =
        switch error.systemError {
        case EADDRINUSE:
          "Another program, or another rank 0, listens there: choose a free port in TUTTI_RENDEZVOUS or MASTER_PORT"
        case EADDRNOTAVAIL: "It is not an address of this host: start rank 0 on the host that has it, or name this host"
        case EACCES: "Choose a port above 1023"
        default: "Check TUTTI_RENDEZVOUS or MASTER_ADDR and MASTER_PORT"
        }
      throw FailureReport(
        .rendezvous, rank: 0, "rank 0 cannot listen at the rendezvous \(rendezvous)", advice: advice,
        systemError: error.systemError)
    }
  }
}
