import TuttiSchedule
import TuttiTransport

// What the loop does where a buffer of the call lies in registered memory: the peer reads what is sent where it is,
// and writes what is received where it belongs. The call's other buffer may be ordinary memory, and so may those of the peer
// and of other ranks: every segment says which it is.

extension StepContext {
  /// What became of a segment that was to be sent from registered memory.
  enum RegisteredSend { case sent, notYet, notReached }

  /// Sends the segment without copying it, where it lies in registered memory and all receivers reach that; otherwise does
  /// nothing. Returns `.notYet` where a receiver has yet to say where the segment may be written.
  func sendRegistered() -> RegisteredSend {
    let offset = registeredOffset(nextExtent)
    if offset == InPlace.nowhere { return .notReached }
    for peer in step.pointee.peers.asInts where !link(at: peer).reaches(offset) { return .notReached }
    for peer in step.pointee.peers.asInts {
      if link(at: peer).asInPlaceLink._withUnsafeGuaranteedRef({ $0.awaitsGrant(lane, bytes) }) { return .notYet }
    }
    let count = messageCount
    for peer in step.pointee.peers.asInts {
      let sequence = link(at: peer).asInPlaceLink._withUnsafeGuaranteedRef {
        $0.sendRegistered(lane, operation.pointee.call, count, offset + cursor.pointee.offset, bytes)
      }
      if cursor.pointee.segments == 0 { slot.pointee.firstSequences[peer] = sequence }
    }
    move()
    return .sent
  }

  /// Lets the sender write the coming segments of a receive where they belong, as many as it may have outstanding,
  /// and as far as nothing else needs that memory before.
  func grantAhead(to link: Unmanaged<Link>) {
    let extent = nextExtent
    let offset = registeredOffset(extent)
    if offset == InPlace.nowhere || !link.reaches(offset) { return }
    let unit = UInt64(tables.pointee.segmentBytes)
    // Segments of this extent only: another one may be other memory.
    let left = (extent.bytes - cursor.pointee.offset + unit - 1) / unit
    let end = cursor.pointee.segments + min(left, UInt64(Lane.credit))
    var segment = max(cursor.pointee.granted, cursor.pointee.segments)
    while segment < end {
      let ahead = segment - cursor.pointee.segments
      let start = cursor.pointee.offset + ahead * unit
      let bytes = min(unit, extent.bytes - start)
      let position = cursor.pointee.position + ahead * unit + bytes
      if bytes < UInt64(InPlace.segmentBytesMin) || !isReady(until: position) { return }
      link.asInPlaceLink._withUnsafeGuaranteedRef { $0.grant(lane, Int(ahead), offset + start, Int(bytes)) }
      segment += 1
      cursor.pointee.granted = segment
    }
  }

  /// Tells a sender that waits to hear where it may write the segment that there is no such place: it sends the segment as
  /// usual. The same goes for those after it, unless their place is registered memory that is only not free yet.
  @inline(never)
  func declineGrants(to link: Unmanaged<Link>, mayGrantLater: Bool) {
    let left = step.pointee.segmentCount - cursor.pointee.segments
    link.asInPlaceLink._withUnsafeGuaranteedRef { $0.declineGrants(lane, mayGrantLater ? 1 : left) }
  }

  /// Tells the senders of a combine's operands, where they ask, to send them as usual: an operand is combined from where it
  /// lands, and belongs nowhere else.
  @inline(__always)
  func answerAskers() {
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      guard source.pointee.isSlot else { continue }
      let link = link(of: source)
      if link.isAsked(lane) { declineGrants(to: link, mayGrantLater: false) }
    }
  }

  /// Whether what a combine read in its senders' memory is what they meant: see ``InPlaceLink/isIntact(_:)``.
  @inline(never)
  func operandsAreIntact() -> Bool {
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      guard source.pointee.isSlot else { continue }
      // Of several operands, some may have come over links that lend nothing.
      let isIntact = link(of: source)._withUnsafeGuaranteedRef {
        !$0.inPlace.reachesRegisteredMemory || $0.asInPlaceLink.isIntact(lane)
      }
      if !isIntact { return false }
    }
    return true
  }

  /// The extent that the segment lies in.
  @inline(__always)
  private var nextExtent: Plan.Extent {
    tables.pointee.extents[Int(step.pointee.extents.lowerBound + cursor.pointee.extent)]
  }

  /// Where an extent lies in registered memory, or `InPlace.nowhere`.
  @inline(__always)
  private func registeredOffset(_ extent: Plan.Extent) -> UInt64 {
    let base =
      switch extent.memory {
      case 0: operation.pointee.registeredInput
      case 1: operation.pointee.registeredOutput
      default: InPlace.nowhere
      }
    return base == InPlace.nowhere ? base : base + extent.offset
  }
}

extension Link {
  /// This link as an ``InPlaceLink``, which it is where ``inPlace`` names an ability, or its peer has asked.
  @inline(__always)
  var asInPlaceLink: InPlaceLink { unsafeDowncast(self, to: InPlaceLink.self) }

  /// Whether the peer waits to hear where it may write the next segment of a lane.
  @inline(__always)
  func isAsked(_ lane: Int) -> Bool { status.pointee.asked & (1 << UInt32(truncatingIfNeeded: lane)) != 0 }
}

extension Unmanaged where Instance == Link {
  /// See `Link.asInPlaceLink`.
  @inline(__always)
  var asInPlaceLink: Unmanaged<InPlaceLink> {
    assert(_withUnsafeGuaranteedRef { $0 is InPlaceLink }, "only a link with memory in place has its abilities")
    return Unmanaged<InPlaceLink>.fromOpaque(toOpaque())
  }

  @inline(__always)
  func isAsked(_ lane: Int) -> Bool { _withUnsafeGuaranteedRef { $0.isAsked(lane) } }

  /// Whether the peer reaches the registered memory at this offset.
  @inline(__always)
  func reaches(_ offset: UInt64) -> Bool {
    _withUnsafeGuaranteedRef {
      $0.inPlace.reachesRegisteredMemory && (offset & InPlace.callers == 0 || $0.inPlace.reachesCallersMemory)
    }
  }
}
