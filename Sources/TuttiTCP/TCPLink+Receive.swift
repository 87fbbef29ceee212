import CTuttiTLS
import Glibc
import TuttiTransport

/// Reading and parsing. Every byte is the peer's and untrusted until checked here.
extension TCPLink {
  /// System calls per call of `progress`, so that one busy link cannot hold up the others.
  private static let receivesPerProgress = 4

  func receive() {
    // Headers that came along with the last large segment were left for now.
    if state.pointee.restBytes == 0 && state.pointee.end != state.pointee.start && !parse() { return }
    for _ in 0..<Self.receivesPerProgress {
      let more = state.pointee.restBytes > 0 ? receiveRest() : receiveFrames()
      if !more { return }
    }
  }

  /// Reads as much as there is, many small frames at a time, or one header when a large segment is expected. Returns whether
  /// there may be more.
  private func receiveFrames() -> Bool {
    makeRoom()
    let end = state.pointee.end
    let wanted =
      state.pointee.exactHeaders
      ? TCPFrame.headerBytes - (end - state.pointee.start) : TCPLinkMemory.chunkBytes - end
    let moved = tutti_stream_receive(socket, tls, memory.chunk(state.pointee.chunk) + end, wanted, nil, 0)
    guard moved > 0 else {
      inputEnded(moved)
      return false
    }
    state.pointee.end = end + moved
    // A short read means that the socket is empty: asking again would only cost a system call.
    return parse() && moved == wanted
  }

  /// Reads the rest of a large segment to where it goes and, in the same system call, the header after it.
  private func receiveRest() -> Bool {
    makeRoom()
    let rest = state.pointee.restBytes
    let chunk = memory.chunk(state.pointee.chunk) + state.pointee.end
    let moved = tutti_stream_receive(socket, tls, state.pointee.restTarget, rest, chunk, TCPFrame.headerBytes)
    guard moved > 0 else {
      inputEnded(moved)
      return false
    }
    if moved < rest {
      state.pointee.restTarget! += moved
      state.pointee.restBytes = rest - moved
      return false
    }
    state.pointee.restBytes = 0
    state.pointee.end += moved - rest
    publish(state.pointee.restLane, state.pointee.restArrival, home: state.pointee.restHome)
    // The engine can offer the next destination before the next header is looked at.
    return false
  }

  /// Asks the kernel to wake this rank only when the rest of a large segment has come: waking for each packet would take
  /// processor time from whoever computes. Kernels before 5.12 may not wake when their buffer is full before that, so it
  /// never asks for more than a quarter of the buffer.
  func wakeForWholeSegment() {
    let bytesMax = max(1, socketOptions.receiveBufferBytes / 4)
    // A TLS session may hold part of a record already, so the socket may get up to a record less than what is missing.
    let held = tls == nil ? 0 : Int(TUTTI_TLS_RECORD_MAX)
    var bytes = Int32(clamping: min(max(1, state.pointee.restBytes - held), bytesMax))
    if bytes == state.pointee.wakingBytes { return }
    // If it cannot be set, the waiter wakes too often.
    if setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, socklen_t(MemoryLayout<Int32>.size)) == 0 {
      state.pointee.wakingBytes = bytes
    }
  }

  /// Makes sure that the largest small frame fits behind `start`.
  private func makeRoom() {
    let start = state.pointee.start
    let end = state.pointee.end
    let current = state.pointee.chunk
    if start == end && memory.chunkUse[current] == 0 {
      state.pointee.start = 0
      state.pointee.end = 0
    } else if TCPLinkMemory.chunkBytes - start < TCPFrame.headerBytes + TCPLinkMemory.smallBytesMax {
      let next = memory.freeChunk(besides: current)
      memcpy(memory.chunk(next), memory.chunk(current) + start, end - start)
      state.pointee.chunk = next
      state.pointee.start = 0
      state.pointee.end = end - start
    }
  }

  /// Takes all complete frames of the chunk, and the beginning of a large one. Returns false when the link failed.
  private func parse() -> Bool {
    while state.pointee.end - state.pointee.start >= TCPFrame.headerBytes {
      let start = state.pointee.start
      let header = TCPHeader(base: memory.chunk(state.pointee.chunk) + start)
      let bytes = header.bytes
      if header.isOurs && header.kind == TCPFrame.data && bytes <= TCPLinkMemory.smallBytesMax {
        state.pointee.exactHeaders = false
        if state.pointee.end - start < TCPFrame.headerBytes + bytes { return checkData(header) }
        guard acceptData(header) else { return false }
        takeSmall(header, bytes)
      } else if header.isOurs && header.kind == TCPFrame.data {
        guard acceptData(header) else { return false }
        takeLarge(header, bytes)
      } else {
        guard acceptCredit(header) else { return false }
        state.pointee.start = start + TCPFrame.headerBytes
      }
    }
    return true
  }

  /// Publishes a small segment where it was read, unless that is misaligned for a kernel's loads.
  private func takeSmall(_ header: TCPHeader, _ bytes: Int) {
    let payload = header.base + TCPFrame.headerBytes
    state.pointee.start += TCPFrame.headerBytes + bytes
    if Int(bitPattern: payload) & 7 == 0 {
      publishInChunk(header, payload, bytes)
    } else {
      let slot = takeSlot()
      memcpy(memory.slot(slot), payload, bytes)
      publish(header.lane, arrival(header, at: memory.slot(slot), placed: false), home: Int32(slot))
    }
  }

  /// Reads a large segment into the destination offered for it, or into a slot. The part that is in the chunk already is
  /// copied there, unless the whole segment is in the chunk and nothing was offered.
  private func takeLarge(_ header: TCPHeader, _ bytes: Int) {
    let lane = header.lane
    let payload = header.base + TCPFrame.headerBytes
    let here = min(state.pointee.end - state.pointee.start - TCPFrame.headerBytes, bytes)
    let offer = lanes + lane
    let placed =
      offer.pointee.offeredSequence == header.sequence && offer.pointee.offeredBytes == bytes
      && offer.pointee.offeredCall == header.call && offer.pointee.offeredCount == header.count
    state.pointee.start += TCPFrame.headerBytes + here
    state.pointee.exactHeaders = true
    if here == bytes && !placed && Int(bitPattern: payload) & 7 == 0 {
      publishInChunk(header, payload, bytes)
      return
    }
    let slot = placed ? -1 : takeSlot()
    let target = placed ? offer.pointee.offeredDestination! : memory.slot(slot)
    let home = placed ? Home.destination : Int32(slot)
    memcpy(target, payload, here)
    let arrival = arrival(header, at: target, placed: placed)
    if here == bytes {
      publish(lane, arrival, home: home)
    } else {
      state.pointee.restBytes = bytes - here
      state.pointee.restTarget = target + here
      state.pointee.restLane = lane
      state.pointee.restHome = home
      state.pointee.restArrival = arrival
    }
  }

  private func takeSlot() -> Int {
    let slot = state.pointee.freeSlots.trailingZeroBitCount
    precondition(slot < 64, "more arrivals than granted")
    state.pointee.freeSlots &= state.pointee.freeSlots &- 1
    return slot
  }

  @inline(__always)
  private func arrival(_ header: TCPHeader, at payload: UnsafeRawPointer, placed: Bool) -> Arrival {
    Arrival(
      call: CallSignature(rawValue: header.call), count: header.count, payload: payload, bytes: header.bytes, placed: placed)
  }

  @inline(__always)
  private func publishInChunk(_ header: TCPHeader, _ payload: UnsafeRawPointer, _ bytes: Int) {
    let chunk = state.pointee.chunk
    memory.chunkUse[chunk] &+= 1
    publish(
      header.lane, arrival(header, at: payload, placed: false), home: Home.firstChunk &+ Int32(truncatingIfNeeded: chunk))
  }

  @inline(__always)
  private func publish(_ lane: Int, _ arrival: Arrival, home: Int32) {
    let sequence = lanes[lane].received &+ 1
    let index = index(lane, sequence)
    arrivals[index] = arrival
    homes[index] = home
    lanes[lane].received = sequence
  }
}
