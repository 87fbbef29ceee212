import Glibc
import TuttiSystem

/// Checks what the peer sends, and reports how the connection ended.
extension TCPLink {
  /// Checks a data frame's header without taking it, so that a bad one is refused before its payload is waited for.
  func checkData(_ header: TCPHeader) -> Bool {
    let lane = header.lane
    guard lane < laneCount else { return refuse("names lane \(lane) of \(laneCount)") }
    let sequence = header.sequence
    guard sequence == lanes[lane].received &+ 1 else {
      return refuse("carries segment \(sequence) of lane \(lane) where \(lanes[lane].received &+ 1) was due")
    }
    guard sequence &- lanes[lane].announced <= credit else {
      return refuse("exceeds the credit of \(credit) segments on lane \(lane)")
    }
    guard header.bytes <= segmentBytesMax else {
      return refuse("announces \(header.bytes) payload bytes where \(segmentBytesMax) are agreed")
    }
    return checkAcknowledgement(header)
  }

  /// Checks a data frame's header and takes its acknowledgement.
  @inline(__always)
  func acceptData(_ header: TCPHeader) -> Bool {
    guard checkData(header) else { return false }
    takeAcknowledgement(header)
    return true
  }

  /// Takes a frame that carries no data: credit, or something that is not ours.
  func acceptCredit(_ header: TCPHeader) -> Bool {
    guard header.isOurs else {
      return header.magic == TCPFrame.signature & 0xFFFF && header.version != TCPFrame.signature >> 16
        ? refuse("has wire format version \(header.version) instead of \(TCPFrame.signature >> 16)", code: .version)
        : refuse("does not begin like a frame of this library")
    }
    guard header.kind == TCPFrame.credit else { return refuse("has the unknown kind \(header.kind)") }
    guard header.lane < laneCount else { return refuse("names lane \(header.lane) of \(laneCount)") }
    guard header.bytes == 0, header.sequence == 0, header.call == 0, header.count == 0 else {
      return refuse("gives credit and carries data")
    }
    guard checkAcknowledgement(header) else { return false }
    takeAcknowledgement(header)
    return true
  }

  @inline(__always)
  private func checkAcknowledgement(_ header: TCPHeader) -> Bool {
    let lane = header.lane
    let outstanding = lanes[lane].sent &- lanes[lane].acknowledged
    let news = header.acknowledged &- UInt32(truncatingIfNeeded: lanes[lane].acknowledged)
    if UInt64(news) <= outstanding { return true }
    return refuse("acknowledges segments of lane \(lane) that were never sent")
  }

  @inline(__always)
  private func takeAcknowledgement(_ header: TCPHeader) {
    let lane = header.lane
    lanes[lane].acknowledged &+= UInt64(header.acknowledged &- UInt32(truncatingIfNeeded: lanes[lane].acknowledged))
  }

  /// Ends the link because of a frame that breaks the protocol. Returns false, for the checks above.
  @inline(never)
  private func refuse(_ what: String, code: FailureCode = .transport) -> Bool {
    end(
      FailureReport(
        code, rank: rank, peer: peer, "rank \(peer) sent a frame that \(what)",
        advice: "Run the same version of the library on all ranks; if they are the same, something altered the stream",
        transport: transport.name))
    return false
  }

  /// Ends the link when no more input comes: `moved` is 0 at the end of the stream, or a negative `errno`.
  @inline(never)
  func inputEnded(_ moved: Int) {
    var code = Int32(-moved)
    if code == EAGAIN {
      // Nothing has come yet. This is the end only when output is impossible as well.
      guard state.pointee.sendError != 0 else { return }
      code = state.pointee.sendError
    }
    let unfinished = state.pointee.restBytes > 0 || state.pointee.end != state.pointee.start
    let what =
      code == 0 || code == EPIPE
      ? "rank \(peer) closed its connection" + (unfinished ? " in the middle of a segment" : "")
      : "the connection to rank \(peer) broke" + (unfinished ? " in the middle of a segment" : "")
    let lost = [0, EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN, ECONNABORTED].contains(code)
    end(
      FailureReport(
        lost ? .peerLost : .transport, rank: rank, peer: peer, what,
        advice: code == ETIMEDOUT || code == EHOSTUNREACH || code == ENETUNREACH
          ? "Check the host of rank \(peer) and the network between" : "Look at the output of rank \(peer) for the cause",
        transport: transport.name, systemError: code))
  }

  private func end(_ report: FailureReport) {
    state.pointee.canWrite = false
    fail(report)
  }
}
