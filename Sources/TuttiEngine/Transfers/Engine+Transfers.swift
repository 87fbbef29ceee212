import CTuttiKernels
import TuttiTransport

/// The part of sends and receives in a pass.
///
/// Each direction of a link's ``Lane/pointToPoint`` carries the messages of one pair in order, cut into segments of a size
/// that both ends derive from the message's. All of this runs under the lock.
extension Engine {
  /// At most one segment in each direction of each pair that has something in flight. Returns whether anything moved.
  @inline(never)
  func passTransfers() -> Bool {
    lock.assertHeld()
    let transfers = transfers
    var moved = false
    // From the last, because a peer that has nothing left gives its place to the last one.
    var place = transfers.pointee.activeCount
    while place > 0 {
      place -= 1
      let peer = Int(transfers.pointee.activePeers[place])
      if peer == rank {
        if copyToSelf() { moved = true }
      } else if let link = core.pointee.links[peer] {
        let sends = transfers.pointee.queue(peer, isSend: true)
        let receives = transfers.pointee.queue(peer, isSend: false)
        link._withUnsafeGuaranteedRef { link in
          if sends.pointee.first >= 0 && advanceSends(sends, link) { moved = true }
          if receives.pointee.first >= 0 && advanceReceives(receives, link) { moved = true }
        }
      } else {
        takeInLinks()
      }
      transfers.pointee.deactivate(place)
    }
    return moved
  }

  /// Bytes of the segment at a transfer's position. Equal at both ends: it depends on the message and on what both
  /// links can carry. Smaller for messages that a few of the largest segments would make up, so that sender and
  /// receiver work at the same time.
  @inline(__always)
  private func segmentBytes(_ transfer: UnsafeMutablePointer<Transfer>, _ link: Link) -> Int {
    segmentBytes(transfer, link, at: transfer.pointee.position)
  }

  @inline(__always)
  private func segmentBytes(_ transfer: UnsafeMutablePointer<Transfer>, _ link: Link, at position: Int) -> Int {
    let wanted = transfer.pointee.bytes <= 1 << 20 ? 64 << 10 : 256 << 10
    return min(wanted, link.segmentBytesMax, transfer.pointee.bytes - position)
  }

  @inline(__always)
  private func advanceSends(_ queue: UnsafeMutablePointer<TransferQueue>, _ link: Link) -> Bool {
    let lane = Lane.pointToPoint
    var moved = false
    if queue.pointee.current >= 0 && hasCredit(link) {
      let transfer = transfers.pointee.record(queue.pointee.current)
      if sendSegment(transfer, link) {
        if transfer.pointee.position == transfer.pointee.bytes { queue.pointee.current = transfer.pointee.next }
        moved = true
      }
    }
    while queue.pointee.first != queue.pointee.current {
      let last = transfers.pointee.record(queue.pointee.first).pointee.lastSequence
      if link.released(lane) < last {
        if !link.needsProgress { break }
        link.progress()
        if link.released(lane) < last { break }
      }
      end(queue)
      moved = true
    }
    return moved
  }

  /// Sends the segment at a transfer's position. Returns false where the receiver is still to say where it may be written.
  @inline(__always)
  private func sendSegment(_ transfer: UnsafeMutablePointer<Transfer>, _ link: Link) -> Bool {
    let lane = Lane.pointToPoint
    let bytes = segmentBytes(transfer, link)
    // A message of one segment is copied, so that its sender does not wait for the receiver.
    let isWhole = bytes == transfer.pointee.bytes
    let registered = transfer.pointee.registered
    if registered != InPlace.nowhere && bytes >= InPlace.segmentBytesMin && link.inPlace.reachesCallersMemory {
      let link = link.asInPlaceLink
      if !isWhole && link.awaitsGrant(lane, bytes) { return false }
      transfer.pointee.lastSequence = link.sendRegistered(
        lane, transfer.pointee.call, transfer.pointee.count, registered + UInt64(transfer.pointee.position), bytes)
    } else {
      transfer.pointee.lastSequence = link.send(
        lane, transfer.pointee.call, transfer.pointee.count, transfer.pointee.base + transfer.pointee.position, bytes,
        copied: isWhole)
    }
    transfer.pointee.position += bytes
    return true
  }

  /// Lets the sender write coming segments straight to where they belong, of this message and of those that are to
  /// follow, as many as it may have outstanding.
  @inline(never)
  private func grantReceives(_ queue: UnsafeMutablePointer<TransferQueue>, _ link: Link) {
    queue.pointee.mayGrant = false
    var index = queue.pointee.first
    var position = transfers.pointee.record(index).pointee.position
    for ahead in 0..<Lane.credit {
      if index < 0 { return }
      let transfer = transfers.pointee.record(index)
      let bytes = segmentBytes(transfer, link, at: position)
      if transfer.pointee.registered != InPlace.nowhere && bytes >= InPlace.segmentBytesMin {
        link.asInPlaceLink.grant(Lane.pointToPoint, ahead, transfer.pointee.registered + UInt64(position), bytes)
      }
      position += bytes
      if position == transfer.pointee.bytes {
        index = transfer.pointee.next
        position = 0
      }
    }
  }

  /// Tells a sender that waits to hear where it may write to send as usual: the whole message, or, where the receiver may
  /// still grant a place for the rest, the next segment alone.
  @inline(never)
  private func answerAsker(_ transfer: UnsafeMutablePointer<Transfer>, _ link: Link) {
    let lane = Lane.pointToPoint
    if !link.isAsked(lane) { return }
    let mayGrantLater = link.inPlace.reachesCallersMemory && transfer.pointee.registered != InPlace.nowhere
    let bytes = transfer.pointee.bytes - transfer.pointee.position
    let unit = max(1, segmentBytes(transfer, link))
    link.asInPlaceLink.declineGrants(lane, mayGrantLater ? 1 : UInt64(max(1, (bytes + unit - 1) / unit)))
  }

  @inline(__always)
  private func hasCredit(_ link: Link) -> Bool {
    if link.canSend(Lane.pointToPoint) { return true }
    if !link.needsProgress { return false }
    link.progress()
    return link.canSend(Lane.pointToPoint)
  }

  @inline(__always)
  private func advanceReceives(_ queue: UnsafeMutablePointer<TransferQueue>, _ link: Link) -> Bool {
    let lane = Lane.pointToPoint
    let transfer = transfers.pointee.record(queue.pointee.first)
    let bytes = segmentBytes(transfer, link)
    let destination = transfer.pointee.base + transfer.pointee.position
    if link.inPlace.reachesCallersMemory {
      if queue.pointee.mayGrant || link.isAsked(lane) { grantReceives(queue, link) }
    }
    // A sender that still asks was granted nothing.
    if link.status.pointee.asked != 0 { answerAsker(transfer, link) }
    if link.inPlace.fetches { link.offer(lane, transfer.pointee.call, transfer.pointee.count, destination, bytes) }
    var found = link.peek(lane)
    if found == nil {
      if !link.needsProgress { return false }
      link.offer(lane, transfer.pointee.call, transfer.pointee.count, destination, bytes)
      link.progress()
      found = link.peek(lane)
    }
    guard let arrival = found else { return false }
    guard
      arrival.pointee.call == transfer.pointee.call && arrival.pointee.count == transfer.pointee.count
        && arrival.pointee.bytes == bytes
    else {
      noteMismatch(link, arrival, transfer, bytes)
      return false
    }
    if bytes > 0 && !arrival.pointee.placed {
      // What is larger than the caches is stored past them.
      let streaming = transfer.pointee.bytes >= 1 << 20 ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
      tutti_copy(destination, arrival.pointee.payload, bytes, Int32(truncatingIfNeeded: streaming))
    }
    link.consume(lane)
    transfer.pointee.position += bytes
    // The credit reaches one segment further.
    if transfer.pointee.position < transfer.pointee.bytes || transfer.pointee.next >= 0 { queue.pointee.mayGrant = true }
    if transfer.pointee.position == transfer.pointee.bytes {
      queue.pointee.current = transfer.pointee.next
      end(queue)
    }
    return true
  }

  /// Bytes of a message to itself that are copied in one pass.
  private static let ownSegmentBytes = 256 << 10

  /// Moves a segment of the oldest message to this rank itself, once there are a send and a receive. They may be the
  /// same memory.
  private func copyToSelf() -> Bool {
    let sends = transfers.pointee.queue(rank, isSend: true)
    let receives = transfers.pointee.queue(rank, isSend: false)
    if sends.pointee.first < 0 || receives.pointee.first < 0 { return false }
    let source = transfers.pointee.record(sends.pointee.first)
    let destination = transfers.pointee.record(receives.pointee.first)
    guard source.pointee.call == destination.pointee.call && source.pointee.count == destination.pointee.count else {
      noteMismatchWithSelf(source, destination)
      return false
    }
    let position = source.pointee.position
    let bytes = min(Self.ownSegmentBytes, source.pointee.bytes - position)
    if bytes > 0 && source.pointee.base != destination.pointee.base {
      let (to, from) = (destination.pointee.base + position, source.pointee.base + position)
      tutti_copy(to, from, bytes, Int32(TUTTI_STREAM_NOTHING))
    }
    source.pointee.position = position + bytes
    destination.pointee.position = position + bytes
    if position + bytes == source.pointee.bytes {
      sends.pointee.current = source.pointee.next
      receives.pointee.current = destination.pointee.next
      end(sends)
      end(receives)
    }
    return true
  }

  /// Ends the oldest transfer of a queue.
  @inline(__always)
  private func end(_ queue: UnsafeMutablePointer<TransferQueue>) {
    let index = queue.pointee.first
    let ticket = tickets.ticket(index)
    assert(transfers.pointee.record(index).pointee.position == transfers.pointee.record(index).pointee.bytes)
    assert(core.pointee.transfersInFlight > 0 && !tickets.isDone(ticket), "a transfer ends once")
    transfers.pointee.removeFirst(queue)
    transfers.pointee.record(index).pointee.owner?.release()
    core.pointee.inFlight -= 1
    core.pointee.transfersInFlight -= 1
    transfers.pointee.giveBack(index)
    if core.pointee.listeners != 0 { announce(ticket) }
  }
}
