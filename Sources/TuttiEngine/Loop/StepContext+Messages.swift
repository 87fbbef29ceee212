import CTuttiKernels
import TuttiSchedule
import TuttiTransport

// The steps that only move data: each sends or receives the next segment, and says whether it could.

extension StepContext {
  // MARK: Sending

  /// Sends the segment to all receivers.
  @inline(__always)
  func send() -> Bool {
    // What is stored nowhere is sent by the combine that makes it.
    if step.pointee.forwarded && bytes > 0 { return false }
    guard isReady(), hasCredit else { return false }
    if slot.pointee.hasRegistered && !step.pointee.copied && bytes >= InPlace.segmentBytesMin {
      switch sendRegistered() {
      case .sent: return true
      case .notYet: return false
      case .notReached: break
      }
    }
    let source = UnsafeRawPointer(address)
    let count = messageCount
    let first = link(at: Int(step.pointee.peers.lowerBound))
    let sequence = first._withUnsafeGuaranteedRef {
      let isInPlace = $0.inPlace.shareGroup != 0
      if isInPlace && bytes >= InPlace.segmentBytesMin { return sendLarge($0, count, source) }
      // One copy that several peers read beats a copy for each of them.
      let isShared = isInPlace && step.pointee.peers.count > 1
      return $0.send(lane, operation.pointee.call, count, source, bytes, copied: step.pointee.copied || isShared)
    }
    finishSend(source, first, sequence)
    return true
  }

  /// Sends a large segment over shared memory, by the way that is fastest. Returns its number.
  @inline(never)
  private func sendLarge(_ link: Link, _ count: UInt64, _ source: UnsafeRawPointer) -> UInt64 {
    let call = operation.pointee.call
    let canBeHeld = !step.pointee.copied && step.pointee.peers.count == 1 && link.inPlace.fetches
    let mustBeHeld = canBeHeld && !link.inPlace.ways.contains(.held)
    let way = mustBeHeld ? .held : way(over: link)
    if canBeHeld && way == .held { return link.send(lane, call, count, source, bytes, copied: false) }
    if way == .streamedWindow {
      tutti_copy(link.reserve(lane, bytes), source, bytes, Int32(TUTTI_STREAM_DESTINATION))
      return link.commit(lane, call, count, bytes)
    }
    return link.send(lane, call, count, source, bytes, copied: true)
  }

  /// How the large segments of this operation travel over shared memory.
  @inline(__always)
  func way(over link: Link) -> SegmentWay {
    guard let path = tables.pointee.dataPath else { return .window }
    if path.pointee.lastOperation < operation.pointee.number {
      Engine.begin(operation.pointee.number, path, core, allowed: link.inPlace.ways)
    }
    return path.pointee.way
  }

  /// Hands the segment that the first receiver's link has just sent to the others.
  ///
  /// - Parameters:
  ///   - source: Where the segment lies; of a forwarded one, memory of the first link.
  ///   - sequence: Its number on the first link.
  @inline(__always)
  func finishSend(_ source: UnsafeRawPointer, _ first: Unmanaged<Link>, _ sequence: UInt64) {
    let call = operation.pointee.call
    let count = messageCount
    let isFirstSegment = cursor.pointee.segments == 0
    let peers = step.pointee.peers
    if isFirstSegment { slot.pointee.firstSequences[Int(peers.lowerBound)] = sequence }
    var peer = Int(peers.lowerBound) + 1
    while peer < Int(peers.upperBound) {
      let other = link(at: peer)
      let otherSequence = first._withUnsafeGuaranteedRef { first in
        other._withUnsafeGuaranteedRef { link in
          if link.inPlace.shareGroup != 0 && link.inPlace.shareGroup == first.inPlace.shareGroup {
            return link.asInPlaceLink.sendShared(lane, call, count, bytes, original: first, originalSequence: sequence)
          }
          if !step.pointee.forwarded { return link.send(lane, call, count, source, bytes, copied: step.pointee.copied) }
          // The first link's memory is not ours for longer than this.
          if bytes > 0 { tutti_copy(link.reserve(lane, bytes), source, bytes, Int32(TUTTI_STREAM_NOTHING)) }
          return link.commit(lane, call, count, bytes)
        }
      }
      if isFirstSegment { slot.pointee.firstSequences[peer] = otherSequence }
      peer += 1
    }
    move()
  }

  // MARK: Receiving

  /// Receives the segment into the step's stream.
  @inline(__always)
  func receive() -> Bool {
    let link = link(at: Int(step.pointee.peers.lowerBound))
    guard isReady() else {
      if link.isAsked(lane) { declineGrants(to: link, mayGrantLater: slot.pointee.hasRegistered) }
      return false
    }
    let destination = address
    if slot.pointee.hasRegistered && bytes >= InPlace.segmentBytesMin { grantAhead(to: link) }
    if link.isAsked(lane) { declineGrants(to: link, mayGrantLater: false) }
    guard let arrival = arrival(on: link, messageCount, offering: destination) else { return false }
    if bytes > 0 && !arrival.pointee.placed {
      let streaming = step.pointee.streaming ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
      tutti_copy(destination, arrival.pointee.payload, bytes, Int32(truncatingIfNeeded: streaming))
      if arrival.pointee.borrowed && !link.asInPlaceLink._withUnsafeGuaranteedRef({ $0.isIntact(lane) }) { return false }
    }
    link._withUnsafeGuaranteedRef { $0.consume(lane) }
    move()
    return true
  }
}
