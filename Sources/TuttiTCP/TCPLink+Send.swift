import CTuttiTLS
import Glibc
import TuttiTransport

/// Sends one frame at a time: at once as far as the kernel takes it, the rest by `flush`.
extension TCPLink {
  /// Numbers the next segment of `lane` and writes its header, which acknowledges all that was consumed.
  @inline(__always)
  func beginFrame(
    _ header: UnsafeMutableRawPointer, _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int
  ) -> UInt64 {
    let sequence = lanes[lane].sent &+ 1
    let consumed = lanes[lane].consumed
    lanes[lane].sent = sequence
    lanes[lane].announced = consumed
    state.pointee.creditDue &= ~(1 << UInt32(lane))
    TCPFrame.encode(
      into: header, kind: TCPFrame.data, lane: lane, bytes: bytes, acknowledged: consumed, sequence: sequence,
      call: call.rawValue, count: count)
    return sequence
  }

  /// Takes the bytes that a call to send moved off the unfinished frame. Returns whether the frame is now written in full.
  func settle(_ moved: Int) -> Bool {
    if moved < 0 {
      if moved != -Int(EAGAIN) { outputFailed(Int32(-moved)) }
      return false
    }
    let ofHead = min(moved, state.pointee.pendingHeadBytes)
    state.pointee.pendingHead! += ofHead
    state.pointee.pendingHeadBytes -= ofHead
    if moved > ofHead {
      state.pointee.pendingBody! += moved - ofHead
      state.pointee.pendingBodyBytes -= moved - ofHead
    }
    guard state.pointee.pendingHeadBytes + state.pointee.pendingBodyBytes == 0 else { return false }
    state.pointee.pendingLane = -1
    state.pointee.canWrite = true
    return true
  }

  /// Keeps the part of a frame that the kernel did not take.
  @inline(never)
  func keep(
    moved: Int, _ head: UnsafeRawPointer, _ headBytes: Int, _ body: UnsafeRawPointer?, _ bodyBytes: Int, lane: Int
  ) {
    state.pointee.canWrite = false
    state.pointee.pendingHead = head
    state.pointee.pendingHeadBytes = headBytes
    state.pointee.pendingBody = body
    state.pointee.pendingBodyBytes = bodyBytes
    state.pointee.pendingLane = lane
    _ = settle(moved)
  }

  /// Writes the unfinished frame, then credit that is due.
  @inline(never)
  func flush() {
    if !state.pointee.canWrite {
      guard state.pointee.sendError == 0, !state.pointee.closed else { return }
      let moved = tutti_stream_send(
        socket, tls, state.pointee.pendingHead, state.pointee.pendingHeadBytes, state.pointee.pendingBody,
        state.pointee.pendingBodyBytes)
      guard settle(moved) else { return }
    }
    if state.pointee.creditDue != 0 { sendCredit() }
  }

  /// Sends a credit frame for every lane that is owed half its credit or more, all in one system call.
  private func sendCredit() {
    var length = 0
    for lane in 0..<laneCount where state.pointee.creditDue & (1 << UInt32(lane)) != 0 {
      let consumed = lanes[lane].consumed
      lanes[lane].announced = consumed
      TCPFrame.encode(
        into: output + length, kind: TCPFrame.credit, lane: lane, bytes: 0, acknowledged: consumed, sequence: 0, call: 0,
        count: 0)
      length += TCPFrame.headerBytes
    }
    state.pointee.creditDue = 0
    let moved = tutti_stream_send(socket, tls, output, length, nil, 0)
    if moved != length { keep(moved: moved, output, length, nil, 0, lane: -1) }
  }

  /// Notes that the connection takes no more output. What the peer sent before it left can still be read, so the link fails
  /// only when the input ends too, which it does at once on a dead connection.
  private func outputFailed(_ code: Int32) {
    state.pointee.sendError = code
    state.pointee.canWrite = false
  }
}
