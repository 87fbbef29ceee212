import CTuttiLinux
import Glibc
import Testing
import TuttiSystem
import TuttiTCP
import TuttiTransport

/// A peer that is alive and does not read for long, because it computes. Its host answers for it, so only the call's own
/// limit counts.
@Suite(.serialized) struct TCPSilenceTests {
  /// Two connected sockets whose receiver has little room and whose sender is told to give up after a second.
  private func impatientSockets() throws -> (sender: Int32, receiver: Int32) {
    let (sender, receiver) = try loopbackSockets()
    var room: Int32 = 4096
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    var milliseconds: Int32 = 1000
    setsockopt(sender, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<Int32>.size))
    return (sender, receiver)
  }

  private func userTimeout(_ socket: Int32) -> Int32 {
    var value: Int32 = -1
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &value, &length)
    return value
  }

  @Test("a link does not end because its peer does not read for longer than any limit of the socket")
  func pausedReader() throws {
    let (sender, receiver) = try impatientSockets()
    let first = try TCPLink(
      connection: Connection(OwnedDescriptor(sender)), peer: secondRank, rank: firstRank,
      segmentBytesMax: conformanceSegmentBytesMax)
    #expect(userTimeout(sender) == 0)
    // The receiving end stays a plain socket with its small window, so that the sender's queue fills.
    defer { Glibc.close(receiver) }
    // This does the same without a link, to see that the kernel would have ended it.
    let canary = try impatientSockets()
    defer { for socket in [canary.sender, canary.receiver] { Glibc.close(socket) } }
    let filler = [UInt8](repeating: 1, count: 1 << 20)
    for _ in 0..<64 { _ = send(canary.sender, filler, filler.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }

    var sent: [UInt64] = []
    for lane in 0..<Lane.count {
      while first.canSend(lane) {
        let content = BytePool.shared.content(UInt64(sent.count))
        sent.append(
          first.send(lane, CallSignature(rawValue: 5), 1, content, conformanceSegmentBytesMax, copied: false))
      }
    }
    var error: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    let deadline = monotonicNanoseconds() + 20_000_000_000
    while error == 0, monotonicNanoseconds() < deadline {
      first.progress()
      usleep(20_000)
      getsockopt(canary.sender, SOL_SOCKET, SO_ERROR, &error, &length)
    }
    // Kernels before 5.11 do not count the time of a closed window: then there is nothing to compare with.
    if error != 0 { #expect(error == ETIMEDOUT) }
    settle(first, milliseconds: 1500)
    #expect(!first.status.pointee.failed, "\(first.failure?.description ?? "")")

    // The peer reads again, with room for it, and gets everything.
    var room: Int32 = 4 << 20
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &room, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var received = 0
    let wanted = sent.count * (conformanceSegmentBytesMax + 40)
    let end = Deadline(seconds: 120)
    while received < wanted {
      first.progress()
      let count = recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 { received += count } else { try end.check("\(wanted) bytes, of which \(received) came") }
    }
    #expect(!first.status.pointee.failed)
    first.close()
  }

  @Test("a link probes a peer that is silent, so that the end of its host is noticed")
  func keepsAlive() throws {
    let (first, second) = try loopbackSockets()
    defer { Glibc.close(second) }
    let link = try TCPLink(connection: Connection(OwnedDescriptor(first)), peer: 1, rank: 0, segmentBytesMax: 64)
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(first, SOL_SOCKET, SO_KEEPALIVE, &value, &length)
    #expect(value == 1)
    var seconds: Int32 = 0
    for option in [TCP_KEEPIDLE, TCP_KEEPINTVL] {
      getsockopt(first, Int32(IPPROTO_TCP), option, &value, &length)
      seconds += value
    }
    #expect((1...60).contains(seconds))
    link.close()
  }
}
