import Glibc
import TuttiSystem
import TuttiTopology

// Opening a link: events of librdmacm (rdma_get_cm_event(3)), reasons of rejections (InfiniBand Architecture Specification,
// volume 1, 12.6.7.2), and the errno of its calls.

extension RDMAErrorText {
  /// A kind of request that a link hands to its queue pairs.
  package enum Post: Sendable { case send, receive }

  /// The failure of a request that could not be handed to a queue pair of an open link.
  package static func posting(_ post: Post, error: Int32, rank: Int, peer: Int) -> FailureReport {
    let what =
      switch post {
      case .send: "a message to rank \(peer) could not be posted (ibv_post_send)"
      case .receive: "room for messages from rank \(peer) could not be posted (ibv_post_recv)"
      }
    return FailureReport(
      .transport, rank: rank, peer: peer, what,
      advice: "Look at the kernel's log, and at collbench list for the state of the devices", transport: transport,
      systemError: error)
  }

  /// Who was connecting whom over which rails. `to` is nil where only this rank's side is known.
  package struct Connection: Sendable {
    package let rank: Int
    package let peer: Int
    package let from: Rail
    package let to: Rail?

    package init(rank: Int, peer: Int, from: Rail, to: Rail?) {
      self.rank = rank
      self.peer = peer
      self.from = from
      self.to = to
    }

    fileprivate var peerText: String { "rank \(peer)" + (to.map { " at \($0.addressText)" } ?? "") }
    fileprivate var fromText: String { from.description }
  }

  /// The failure for an event that ends a connection, or its opening.
  ///
  /// - Parameters:
  ///   - event: `enum rdma_cm_event_type`.
  ///   - status: The event's: a negative errno, or the reason of a rejection.
  package static func connection(event: UInt32, status: Int32, _ link: Connection) -> FailureReport {
    let name = event < eventNames.count ? "RDMA_CM_EVENT_" + eventNames[Int(event)] : "librdmacm event \(event)"
    let (code, meaning, advice) =
      event == rejected ? rejection(status, link) : connectionText(event, status, link)
    let detail = event == rejected ? ", reason \(status)" : ""
    return FailureReport(
      code, rank: link.rank, peer: link.peer, "\(meaning) [\(name)\(detail)]", advice: advice, transport: transport,
      systemError: status < 0 && status > Int32.min ? -status : 0)
  }

  /// The failure for a call of librdmacm that failed at once.
  package static func connecting(call: String, error: Int32, _ link: Connection) -> FailureReport {
    let (code, meaning, advice) = callText(error, link)
    return FailureReport(
      code, rank: link.rank, peer: link.peer, "\(meaning) (\(call))", advice: advice, transport: transport,
      systemError: error)
  }

  private static let rejected: UInt32 = 8
  private static let eventNames = [
    "ADDR_RESOLVED", "ADDR_ERROR", "ROUTE_RESOLVED", "ROUTE_ERROR", "CONNECT_REQUEST", "CONNECT_RESPONSE", "CONNECT_ERROR",
    "UNREACHABLE", "REJECTED", "ESTABLISHED", "DISCONNECTED", "DEVICE_REMOVAL", "MULTICAST_JOIN", "MULTICAST_ERROR",
    "ADDR_CHANGE", "TIMEWAIT_EXIT",
  ]

  private static func connectionText(
    _ event: UInt32, _ status: Int32, _ link: Connection
  ) -> (FailureCode, String, String) {
    switch event {
    case 1:
      (
        .transport, "the address of \(link.peerText) cannot be resolved from \(link.fromText)",
        status == -ENODEV ? noRoute(link) : sameFabric(link)
      )
    case 3: (.transport, "no route leads from \(link.fromText) to \(link.peerText)", sameFabric(link))
    case 6:
      (
        .transport, "the connection from \(link.fromText) to \(link.peerText) could not be made",
        "See the log of rank \(link.peer), and that both ends have the same MTU"
      )
    case 7:
      (
        .peerLost, "\(link.peerText) does not answer over RDMA from \(link.fromText)",
        "Check whether its process is alive. " + sameFabric(link)
      )
    case 10: (.peerLost, "\(link.peerText) closed the connection", "See the log of rank \(link.peer)")
    case 11:
      (
        .transport, "\(link.from.device) was removed under the connection to \(link.peerText)",
        "See the kernel's log (dmesg) for \(link.from.device)"
      )
    case 13: (.transport, "\(link.fromText) could not join a multicast group", "Tutti asks for none: please report it")
    case 14:
      (
        .transport, "the address of \(link.fromText) moved to another device (bonding)",
        "Name devices that stay with TUTTI_RDMA_DEVICES"
      )
    case 0, 2, 4, 5, 9, 12, 15:
      (.transport, "the connection to \(link.peerText) met an event at the wrong time", "Please report it with this text")
    default: (.transport, "the connection to \(link.peerText) met an event newer than this library", "")
    }
  }

  private static func rejection(_ reason: Int32, _ link: Connection) -> (FailureCode, String, String) {
    switch reason {
    case 8, -ECONNREFUSED:
      (
        .peerLost, "\(link.peerText) no longer listens where it said it would",
        "Its process has ended or closed the communicator: see its log"
      )
    case 1, 3, 27:
      (
        .resources, "\(link.peerText) has no room for another connection",
        "See its log; raise its limit of locked memory (ulimit -l), or use fewer queue pairs (TUTTI_RDMA_QUEUE_PAIRS)"
      )
    case 4: (.timeout, "\(link.peerText) waited too long for this rank", "Check whether hosts stall or lose packets")
    case 10:
      (
        .transport, "\(link.peerText) still has an earlier connection with the same number",
        "It goes away by itself after some seconds: join again"
      )
    case 12, 13:
      (.transport, "\(link.peerText) cannot send back to the address of \(link.fromText)", sameFabric(link))
    case 14, 15, 32:
      (
        .configuration, "\(link.peerText) does not take this service level, traffic class or flow label",
        "Set TUTTI_RDMA_SERVICE_LEVEL and TUTTI_RDMA_TRAFFIC_CLASS to what the fabric has, or unset them"
      )
    case 17: (.transport, "\(link.peerText) does not take packets at this rate", sameFabric(link))
    case 26:
      (
        .configuration, "\(link.peerText) does not take packets of this MTU",
        "Give both ends the same MTU, or set TUTTI_RDMA_MTU to the smaller one"
      )
    case 28:
      (
        .transport, "\(link.peerText) refused the connection from \(link.fromText)",
        "Its log says why; most often it has given up already, or the connection did not show its token"
      )
    default:
      (.transport, "\(link.peerText) rejected the connection from \(link.fromText)", "See the log of rank \(link.peer)")
    }
  }

  private static func callText(_ error: Int32, _ link: Connection) -> (FailureCode, String, String) {
    switch error {
    case ENODEV: (.transport, "no RDMA device leads from \(link.fromText) to \(link.peerText)", noRoute(link))
    case EADDRNOTAVAIL:
      (
        .transport, "\(link.fromText) has lost its address",
        "See what ip address and collbench list show; addresses must stay while a job runs"
      )
    case ENETUNREACH, EHOSTUNREACH:
      (.transport, "no route leads from \(link.fromText) to \(link.peerText)", sameFabric(link))
    case ETIMEDOUT:
      (
        .peerLost, "\(link.peerText) does not answer over RDMA from \(link.fromText)",
        "Check whether its process is alive. " + sameFabric(link)
      )
    case ECONNREFUSED, ECONNRESET:
      (.peerLost, "\(link.peerText) refused the connection from \(link.fromText)", "See the log of rank \(link.peer)")
    case EADDRINUSE:
      (.transport, "\(link.fromText) has no free port to listen on", "See what listens there with rdma resource show cm_id")
    case ENOMEM: (.resources, "no memory is left for the connection from \(link.fromText) to \(link.peerText)", lockAdvice)
    case EMFILE, ENFILE:
      (
        .resources, "no descriptor is left for the connection to \(link.peerText)",
        "Raise the limit of open files (ulimit -n)"
      )
    case EPERM, EACCES:
      (
        .transport, "this process may not connect over RDMA",
        "Let its user open /dev/infiniband/rdma_cm and uverbs for reading and writing"
      )
    case EINVAL:
      (
        .transport, "the settings of the connection from \(link.fromText) to \(link.peerText) were refused",
        "Unset the TUTTI_RDMA_ variables; if it stays, please report it with this text"
      )
    default: (.transport, "the connection from \(link.fromText) to \(link.peerText) could not be made", sameFabric(link))
    }
  }

  private static func sameFabric(_ link: Connection) -> String {
    let ping = link.to.map { "ping -I \(link.from.addressText) \($0.addressText)" } ?? "ping"
    return link.from.linkLayer == .ethernet
      ? "Try \(ping); if it works, see that UDP port 4791 passes; else name devices of one fabric in TUTTI_RDMA_DEVICES"
      : "Try \(ping) and ibping; if the fabrics differ, name devices of one in TUTTI_RDMA_DEVICES"
  }

  private static func noRoute(_ link: Connection) -> String {
    "See ip route get\(link.to.map { " " + $0.addressText } ?? ""): it must lead over an interface of \(link.from.device). "
      + "Or name other devices in TUTTI_RDMA_DEVICES"
  }
}
