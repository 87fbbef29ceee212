import TuttiSchedule
import TuttiTransport

// What the loop does where a buffer of the call lies in registered memory: the peer reads what is sent where it is, and writes what is received
// where it belongs. A call's other buffer, the peer's, and other ranks' may be ordinary memory: every segment says what it is.

extension Engine {
  /// Where a segment of an operation's buffer lies in registered memory, or `InPlace.nowhere`.
  @inline(__always)
  private func registeredOffset(_ operation: UnsafeMutablePointer<Operation>, _ extent: Plan.Extent) -> UInt64 {
    let base =
      switch extent.memory {
      case 0: operation.pointee.registeredInput
      case 1: operation.pointee.registeredOutput
      default: InPlace.nowhere
      }
    return base == InPlace.nowhere ? base : base + extent.offset
  }

  /// What became of a segment that was to be sent from registered memory.
  enum RegisteredSend { case sent, notYet, notReached }

  /// Sends the segment a cursor stands at without copying it, where it lies in registered memory and all receivers reach that; otherwise
  /// nothing is done. Not yet, where a receiver is still to say where it may be written.
  func sendRegistered(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ tables: UnsafeMutablePointer<PlanTables>,
    _ step: UnsafeMutablePointer<CompiledStep>, _ cursor: UnsafeMutablePointer<Cursor>, _ lane: Int, _ bytes: Int
  ) -> RegisteredSend {
    let operation = slot.pointee.operation
    let extent = tables.pointee.extents[Int(step.pointee.extents.lowerBound + cursor.pointee.extent)]
    let offset = registeredOffset(operation, extent)
    if offset == InPlace.nowhere { return .notReached }
    for peer in step.pointee.peers.asInts where !reaches(offset, link(Int(tables.pointee.peers[peer]))) {
      return .notReached
    }
    for peer in step.pointee.peers.asInts {
      let isAwaiting = inPlace(link(Int(tables.pointee.peers[peer])))._withUnsafeGuaranteedRef {
        $0.awaitsGrant(lane, bytes)
      }
      if isAwaiting { return .notYet }
    }
    let count = messageCount(operation, tables, step)
    for peer in step.pointee.peers.asInts {
      let sequence = inPlace(link(Int(tables.pointee.peers[peer])))._withUnsafeGuaranteedRef {
        $0.sendRegistered(lane, operation.pointee.call, count, offset + cursor.pointee.offset, bytes)
      }
      if cursor.pointee.segments == 0 { slot.pointee.firstSequences[peer] = sequence }
    }
    move(tables, step, cursor, past: bytes)
    return .sent
  }

  /// A link as what it is where ``Link/inPlace`` names an ability, or its peer has asked.
  @inline(__always)
  func inPlace(_ link: Unmanaged<Link>) -> Unmanaged<InPlaceLink> {
    assert(link._withUnsafeGuaranteedRef { $0 is InPlaceLink }, "only a link with memory in place has its abilities")
    return Unmanaged.fromOpaque(link.toOpaque())
  }

  @inline(__always)
  func inPlace(_ link: Link) -> InPlaceLink { unsafeDowncast(link, to: InPlaceLink.self) }

  @inline(__always)
  private func reaches(_ offset: UInt64, _ link: Unmanaged<Link>) -> Bool {
    link._withUnsafeGuaranteedRef {
      $0.inPlace.reachesRegisteredMemory && (offset & InPlace.callers == 0 || $0.inPlace.reachesCallersMemory)
    }
  }

  /// Answers a sender that waits to hear where it may write the segment a cursor stands at: nowhere. Nor those after it, unless their place is
  /// registered and only not free yet.
  @inline(never)
  func declineGrants(
    _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>, _ link: Unmanaged<Link>, _ lane: Int, mayGrantLater: Bool
  ) {
    let left = step.pointee.segmentCount - cursor.pointee.segments
    inPlace(link)._withUnsafeGuaranteedRef { $0.declineGrants(lane, mayGrantLater ? 1 : left) }
  }

  /// Tells the senders of a combine's operands that ask: these go where they always do.
  @inline(__always)
  func answerAskers(
    _ tables: UnsafeMutablePointer<PlanTables>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>, _ lane: Int
  ) {
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + Int(index)
      guard source.pointee.isSlot else { continue }
      let link = link(Int(source.pointee.peer))
      if isAsked(link, lane) { declineGrants(step, cursor, link, lane, mayGrantLater: false) }
    }
  }

  /// Whether the peer waits to hear where it may write.
  @inline(__always)
  func isAsked(_ link: Unmanaged<Link>, _ lane: Int) -> Bool {
    link._withUnsafeGuaranteedRef { $0.status.pointee.asked } & (1 << UInt32(truncatingIfNeeded: lane)) != 0
  }

  /// Lets the sender write the coming segments of a receive where they belong, as many as it may have outstanding, and as far as nothing else
  /// needs that memory before.
  func grantAhead(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ tables: UnsafeMutablePointer<PlanTables>,
    _ step: UnsafeMutablePointer<CompiledStep>, _ cursor: UnsafeMutablePointer<Cursor>, _ link: Unmanaged<Link>, _ lane: Int
  ) {
    let extent = tables.pointee.extents[Int(step.pointee.extents.lowerBound + cursor.pointee.extent)]
    let offset = registeredOffset(slot.pointee.operation, extent)
    if offset == InPlace.nowhere || !reaches(offset, link) { return }
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
      if bytes < UInt64(InPlace.segmentBytesMin) || !isReady(slot, slotIndex, tables, step, end: position) {
        return
      }
      inPlace(link)._withUnsafeGuaranteedRef { $0.grant(lane, Int(ahead), offset + start, Int(bytes)) }
      segment += 1
      cursor.pointee.granted = segment
    }
  }

  /// Whether what a combine read in its senders' memory is what they meant: see ``InPlaceLink/isIntact(_:)``.
  @inline(never)
  func operandsAreIntact(
    _ tables: UnsafeMutablePointer<PlanTables>, _ step: UnsafeMutablePointer<CompiledStep>, _ lane: Int
  ) -> Bool {
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      guard source.pointee.isSlot else { continue }
      let link = link(Int(source.pointee.peer))
      // Of several operands, some may have come over links that lend nothing.
      let isIntact = link._withUnsafeGuaranteedRef {
        !$0.inPlace.reachesRegisteredMemory || inPlace($0).isIntact(lane)
      }
      if !isIntact { return false }
    }
    return true
  }

  /// Has a peer that asks where to write send as usual, because this rank has not come to that receive for a while, or has no such receive:
  /// it is in another call, or waits for one that the peer sends later.
  @inline(never)
  func answerLate(_ link: Link) {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      for channel in 0..<Lane.channels {
        let lane = Lane.index(operationSlot: index, channel: channel)
        if isAsked(Unmanaged.passUnretained(link), lane) { inPlace(link).declineGrants(lane, UInt64(Lane.credit)) }
      }
    }
  }
}
