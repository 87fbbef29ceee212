import TuttiSystem

// Asynchronous events of devices and ports (ibv_get_async_event(3)).

extension RDMAErrorText {
  /// What an event ends.
  package enum EventScope: Sendable {
    case nothing
    /// The link of the queue pair, completion queue or receive queue that the event names.
    case link
    /// All links over that port.
    case port
    /// All links over that device.
    case device
  }

  package struct Event: Sendable {
    /// `IBV_EVENT_PORT_ERR`.
    package let name: String
    /// A sentence without a full stop, with the device.
    package let meaning: String
    /// What to do about it; empty when there is nothing to do.
    package let advice: String
    package let ends: EventScope

    /// The failure of the calls on a link that the event has ended. The rank at fault is the device's.
    package func failure(rank: Int, peer: Int) -> FailureReport {
      FailureReport(
        .transport, rank: rank, peer: rank, "\(meaning) [\(name)]; the link to rank \(peer) ended", advice: advice,
        transport: transport)
    }
  }

  /// - Parameters:
  ///   - type: `enum ibv_event_type`.
  ///   - port: The port that the event is about; 0 when it is about none.
  package static func event(type: UInt32, device: String, port: UInt8 = 0) -> Event {
    let place = port > 0 ? "\(device) port \(port)" : device
    guard type < eventNames.count else {
      return Event(
        name: "event \(type)", meaning: "\(place) had an event newer than this library", advice: "", ends: .nothing)
    }
    let (meaning, ends) = eventText(type, device, port > 0 ? place : "a port of \(device)")
    let advice =
      switch ends {
      case .nothing: ""
      case .link: "See the kernel's log (dmesg) for \(device); if it recurs, update its firmware and driver"
      case .port: "Bring its interface or cable up again (ip link, ibstat), or leave it out of TUTTI_RDMA_DEVICES"
      case .device: "See the kernel's log (dmesg) for \(device): it was removed, or has to be reset"
      }
    return Event(name: "IBV_EVENT_" + eventNames[Int(type)], meaning: meaning, advice: advice, ends: ends)
  }

  private static let eventNames = [
    "CQ_ERR", "QP_FATAL", "QP_REQ_ERR", "QP_ACCESS_ERR", "COMM_EST", "SQ_DRAINED", "PATH_MIG", "PATH_MIG_ERR",
    "DEVICE_FATAL",
    "PORT_ACTIVE", "PORT_ERR", "LID_CHANGE", "PKEY_CHANGE", "SM_CHANGE", "SRQ_ERR", "SRQ_LIMIT_REACHED",
    "QP_LAST_WQE_REACHED", "CLIENT_REREGISTER", "GID_CHANGE", "WQ_FATAL",
  ]

  private static func eventText(_ type: UInt32, _ device: String, _ port: String) -> (String, EventScope) {
    switch type {
    case 0: ("a completion queue of \(device) overran or broke", .link)
    case 1: ("a queue pair of \(device) broke", .link)
    case 2: ("a queue pair of \(device) got a request that is invalid", .link)
    case 3: ("a queue pair of \(device) got a request for memory that is not registered for it", .link)
    case 4: ("a queue pair of \(device) has its first message", .nothing)
    case 5: ("a send queue of \(device) is drained", .nothing)
    case 6: ("a connection of \(device) moved to its alternate path", .nothing)
    case 7: ("a connection of \(device) could not move to its alternate path", .nothing)
    case 8: ("\(device) broke or was removed", .device)
    case 9: ("\(port) is up", .nothing)
    case 10: ("\(port) went down", .port)
    // Packets still addressed to the old one get no acknowledgement, which ends the link.
    case 11: ("\(port) has a new LID", .nothing)
    case 12: ("\(port) has new partition keys", .nothing)
    case 13: ("\(port) has a new subnet manager", .nothing)
    case 14: ("a shared receive queue of \(device) broke", .link)
    case 15: ("a shared receive queue of \(device) runs low", .nothing)
    case 16: ("a broken queue pair of \(device) has used its last receive", .link)
    case 17: ("the subnet manager wants \(port) to register anew", .nothing)
    // Any address that comes or goes causes it. Packets to a link's address that is gone get no acknowledgement.
    case 18: ("\(port) has other GIDs", .nothing)
    default: ("a work queue of \(device) broke", .link)
    }
  }
}
