import Glibc
import TuttiSystem
import TuttiTopology

/// Turns what verbs and librdmacm report into words: what happened, to whom, and what to do. It takes numbers as the
/// libraries give them, so that it needs neither their headers nor a device. It is pure, except for the limits it reads by
/// default.
package enum RDMAErrorText {
  static let transport = "rdma"

  /// What one number means, before it is known whom it concerns.
  struct Entry {
    let name: String
    let code: FailureCode
    /// A sentence without a full stop.
    let meaning: String
    var advice = ""
  }

  /// The failure of a work request that did not succeed.
  ///
  /// - Parameters:
  ///   - status: `enum ibv_wc_status`.
  ///   - vendorError: The device's own number, for its vendor; 0 is not shown.
  ///   - isReceive: Whether it was a request to receive from the peer; anything but a flush is then about that.
  ///   - rail: The rail of this rank.
  package static func completion(
    status: UInt32, vendorError: UInt32 = 0, isReceive: Bool = false, rank: Int, peer: Int, rail: Rail,
    settings: RDMASettings
  ) -> FailureReport {
    let entry =
      isReceive && status != flushed
      ? receiveEntry(status, "rank \(peer)", settings) : completionEntry(status, "rank \(peer)", settings)
    let vendor = vendorError == 0 ? "" : ", vendor error 0x" + String(vendorError, radix: 16)
    return FailureReport(
      entry.code, rank: rank, peer: peer, "\(entry.meaning) [\(entry.name)\(vendor), \(rail.description)]",
      advice: entry.advice, transport: transport)
  }

  private static let flushed: UInt32 = 5

  private static func receiveEntry(_ status: UInt32, _ peer: String, _ settings: RDMASettings) -> Entry {
    Entry(
      name: completionEntry(status, peer, settings).name, code: .transport,
      meaning: "a message from \(peer) could not be taken: this rank's device refused it as invalid", advice: bothSides(peer)
    )
  }

  private static func completionEntry(_ status: UInt32, _ peer: String, _ settings: RDMASettings) -> Entry {
    guard status < completionNames.count else {
      return Entry(
        name: "completion status \(status)", code: .transport,
        meaning: "the device ended a request to \(peer) for a reason newer than this library", advice: reportDevice)
    }
    let name = "IBV_WC_" + completionNames[Int(status)]
    let (code, meaning, advice) = completionText(status, peer, settings)
    return Entry(name: name, code: code, meaning: meaning, advice: advice)
  }

  private static let completionNames = [
    "SUCCESS", "LOC_LEN_ERR", "LOC_QP_OP_ERR", "LOC_EEC_OP_ERR", "LOC_PROT_ERR", "WR_FLUSH_ERR", "MW_BIND_ERR",
    "BAD_RESP_ERR",
    "LOC_ACCESS_ERR", "REM_INV_REQ_ERR", "REM_ACCESS_ERR", "REM_OP_ERR", "RETRY_EXC_ERR", "RNR_RETRY_EXC_ERR",
    "LOC_RDD_VIOL_ERR", "REM_INV_RD_REQ_ERR", "REM_ABORT_ERR", "INV_EECN_ERR", "INV_EEC_STATE_ERR", "FATAL_ERR",
    "RESP_TIMEOUT_ERR", "GENERAL_ERR", "TM_ERR", "TM_RNDV_INCOMPLETE",
  ]

  private static let reportBug = "This should not happen: please report it with this text"
  private static let reportDevice =
    "See the kernel's log (dmesg) for the device; if it recurs, update its firmware and driver"
  private static let otherType =
    "It belongs to a kind of connection that Tutti does not make: please report it with this text"

  private static func completionText(
    _ status: UInt32, _ peer: String, _ settings: RDMASettings
  ) -> (FailureCode, String, String) {
    switch status {
    case 0: (.transport, "a request to \(peer) succeeded and was taken for a failure", reportBug)
    case 1: (.transport, "a message of \(peer) is longer than what it was received into", reportBug)
    case 2:
      (
        .transport,
        "a request to \(peer) could not be carried out: no way leads there any more, or the request is inconsistent",
        "Look at the interface and routes of this rank's address (ip link, ip route); if they are right, please report it"
      )
    case 3: (.transport, "an end-to-end context of this rank found its own request inconsistent", otherType)
    case 4: (.transport, "a request to \(peer) names memory that is not registered on this rank", unregistered)
    case 5:
      (
        .peerLost, "the connection with \(peer) ended, and what was under way was flushed",
        "See the log of \(peer): it was lost, gave up, or met the first error"
      )
    case 6: (.transport, "a memory window could not be bound", otherType)
    case 7: (.transport, "\(peer) answered with a packet that was not expected", reportDevice)
    case 8: (.transport, "\(peer) wrote to memory that this rank has not registered for it", reportBug)
    case 9: (.transport, "\(peer) refused a message as invalid: too long, or of a kind it does not take", bothSides(peer))
    case 10: (.transport, "\(peer) refused a write: its memory is not registered for it", unregistered)
    case 11: (.transport, "\(peer) could not carry out a request", bothSides(peer))
    case 12: (.peerLost, "\(peer) did not acknowledge for \(silence(settings))", retryAdvice(peer))
    case 13:
      (
        .transport, "\(peer) had no receive posted, and still none after all tries",
        "See whether \(peer) is stopped. " + reportBug
      )
    case 14: (.transport, "a reliable datagram was sent from the wrong domain", otherType)
    case 15: (.transport, "\(peer) refused a reliable datagram as invalid", otherType)
    case 16: (.peerLost, "\(peer) aborted the operation", "See the log of \(peer)")
    case 17: (.transport, "an end-to-end context number is invalid", otherType)
    case 18: (.transport, "an end-to-end context is in the wrong state", otherType)
    case 19: (.transport, "the device met a fatal error in a request to \(peer)", reportDevice)
    case 20: (.peerLost, "\(peer) did not answer a request in time", retryAdvice(peer))
    case 21: (.transport, "the device met an error it has no name for in a request to \(peer)", reportDevice)
    default: (.transport, "the device's matching of tags failed", otherType)
    }
  }

  private static let unregistered =
    "Do not free, unmap or resize memory while it is registered or an operation uses it"

  private static func bothSides(_ peer: String) -> String {
    "See the log of \(peer), and that all ranks run the same version of Tutti"
  }

  private static func retryAdvice(_ peer: String) -> String {
    "Check whether the process and host of \(peer) are alive and its port is up; on a network that loses packets or a host that "
      + "stalls, raise TUTTI_RDMA_TIMEOUT"
  }

  /// `about 7.5 s (7 tries of 1.1 s)`.
  static func silence(_ settings: RDMASettings) -> String {
    let tries = Int(settings.retryCount) + 1
    let each = time(settings.silenceSeconds / Double(tries))
    return tries == 1 ? "about \(each)" : "about \(time(settings.silenceSeconds)) (\(tries) tries of \(each))"
  }

  /// Two digits or more: `8.2 us`, `268 ms`, `1.9 s`, `146 min`.
  static func time(_ seconds: Double) -> String {
    let (value, unit) =
      seconds < 1e-3
      ? (seconds * 1e6, "us") : seconds < 1 ? (seconds * 1e3, "ms") : seconds < 600 ? (seconds, "s") : (seconds / 60, "min")
    let tenths = (value * 10).rounded()
    return tenths < 100 ? "\(tenths / 10) \(unit)" : "\(Int(value.rounded())) \(unit)"
  }
}
