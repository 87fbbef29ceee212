import CTuttiKernels
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// The inner loop: one pass over the running operations, at most one segment of each queue at a time, so that
/// sending, combining and placing take turns and segments stay in cache. Everything here runs under the lock.
extension Engine {
  /// Makes what progress can be made without waiting. Returns whether there was any.
  @inline(__always)
  func pass() -> Bool {
    let core = core
    var moved = admit()
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      if slot.pointee.isActive && advance(slot, index) { moved = true }
    }
    if core.pointee.transfersInFlight != 0 && passTransfers() { moved = true }
    return moved
  }

  /// One segment of each queue of one operation.
  private func advance(_ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    if !tables.pointee.linksReady && !collectLinks(tables, operation.pointee.plan) { return false }
    let heads = slot.pointee.heads
    let cursors = slot.pointee.cursors
    var moved = false
    for queue in 0..<tables.pointee.queueCount {
      let end = tables.pointee.queues[queue].upperBound
      let head = heads[queue]
      if head == end { continue }
      let index = tables.pointee.queueSteps[Int(head)]
      let step = tables.pointee.steps + Int(index)
      let cursor = cursors + Int(index)
      // A send may have been done by the combine that feeds it.
      if cursor.pointee.segments < step.pointee.segmentCount {
        let hasMoved =
          switch step.pointee.kind {
          case .send: executeSend(slot, slotIndex, step, cursor)
          case .receive: executeReceive(slot, slotIndex, step, cursor)
          case .combine: executeCombine(slot, slotIndex, index, step, cursor)
          }
        if !hasMoved { continue }
      }
      moved = true
      if cursor.pointee.segments == step.pointee.segmentCount {
        heads[queue] = head + 1
        if head + 1 == end { slot.pointee.openQueues -= 1 }
      }
    }
    if slot.pointee.openQueues == 0 && sourcesAreReleased(slot, slotIndex) {
      complete(slot, slotIndex)
      return true
    }
    return moved
  }

  // MARK: Segments

  /// Bytes of the segment a cursor stands at.
  @inline(__always)
  private func segmentBytes(
    _ tables: UnsafeMutablePointer<PlanTables>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Int {
    if step.pointee.bytes == 0 { return 0 }
    let extent = tables.pointee.extents + Int(step.pointee.extents.lowerBound + cursor.pointee.extent)
    return min(tables.pointee.segmentBytes, Int(extent.pointee.bytes - cursor.pointee.offset))
  }

  /// Address of the segment a cursor stands at, in the extents that begin at `firstExtent`.
  @inline(__always)
  private func address(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ tables: UnsafeMutablePointer<PlanTables>, _ firstExtent: Int32,
    _ step: UnsafeMutablePointer<CompiledStep>, _ cursor: UnsafeMutablePointer<Cursor>
  ) -> UnsafeMutableRawPointer {
    // An empty stream has no extent; its address is never followed.
    if step.pointee.bytes == 0 { return slot.pointee.bases[1] }
    let extent = tables.pointee.extents + Int(firstExtent + cursor.pointee.extent)
    return slot.pointee.bases[Int(extent.pointee.memory)] + Int(extent.pointee.offset + cursor.pointee.offset)
  }

  @inline(__always)
  func move(
    _ tables: UnsafeMutablePointer<PlanTables>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>, past bytes: Int
  ) {
    cursor.pointee.segments += 1
    if bytes == 0 { return }
    cursor.pointee.position += UInt64(bytes)
    cursor.pointee.offset += UInt64(bytes)
    let extent = tables.pointee.extents + Int(step.pointee.extents.lowerBound + cursor.pointee.extent)
    if cursor.pointee.offset == extent.pointee.bytes {
      cursor.pointee.extent += 1
      cursor.pointee.offset = 0
    }
  }

  /// Whether everything a segment that ends at stream position `end` depends on has happened.
  @inline(__always)
  func isReady(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ tables: UnsafeMutablePointer<PlanTables>,
    _ step: UnsafeMutablePointer<CompiledStep>, end: UInt64, except ignored: Int32 = -1
  ) -> Bool {
    for index in step.pointee.edges.asInts {
      let edge = tables.pointee.edges + Int(index)
      let other = Int(edge.pointee.step)
      if edge.pointee.kind == .completed {
        if slot.pointee.cursors[other].segments < tables.pointee.steps[other].segmentCount { return false }
        continue
      }
      if end <= edge.pointee.lower || edge.pointee.step == ignored { continue }
      let needed = UInt64(Int64(min(end, edge.pointee.upper)) + edge.pointee.delta)
      let position =
        edge.pointee.kind == .executed
        ? slot.pointee.cursors[other].position : releasedPosition(slot, slotIndex, tables, other)
      if position < needed { return false }
    }
    return true
  }

  /// How far the receivers have released a send's stream.
  private func releasedPosition(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ tables: UnsafeMutablePointer<PlanTables>, _ index: Int
  ) -> UInt64 {
    let step = tables.pointee.steps + index
    let cursor = slot.pointee.cursors + index
    var segments = cursor.pointee.segments
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(step.pointee.channel))
    for peer in step.pointee.peers.asInts {
      let first = slot.pointee.firstSequences[Int(peer)]
      if first == 0 { return 0 }
      let released = link(Int(tables.pointee.peers[Int(peer)]))._withUnsafeGuaranteedRef { link in
        if link.needsProgress { link.progress() }
        return link.released(lane)
      }
      segments = released < first ? 0 : min(segments, released - first + 1)
    }
    if segments == cursor.pointee.segments { return cursor.pointee.position }
    var left = segments
    var position: UInt64 = 0
    let unit = UInt64(tables.pointee.segmentBytes)
    for index in step.pointee.extents.asInts {
      let bytes = tables.pointee.extents[Int(index)].bytes
      let count = (bytes + unit - 1) / unit
      if left < count { return position + left * unit }
      left -= count
      position += bytes
    }
    return position
  }

  @inline(__always)
  func link(_ peer: Int) -> Unmanaged<Link> { core.pointee.links[peer].unsafelyUnwrapped }

  @inline(__always)
  private func hasCredit(_ link: Unmanaged<Link>, _ lane: Int) -> Bool {
    link._withUnsafeGuaranteedRef { link in
      if link.canSend(lane) { return true }
      if !link.needsProgress { return false }
      link.progress()
      return link.canSend(lane)
    }
  }

  // MARK: Steps

  private func executeSend(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let bytes = segmentBytes(tables, step, cursor)
    // What is stored nowhere is sent by the combine that makes it.
    if step.pointee.isForwarded && bytes > 0 { return false }
    guard isReady(slot, slotIndex, tables, step, end: cursor.pointee.position + UInt64(bytes)) else { return false }
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(step.pointee.channel))
    for peer in step.pointee.peers.asInts where !hasCredit(link(Int(tables.pointee.peers[Int(peer)])), lane) { return false }
    if slot.pointee.hasRegistered && !step.pointee.isCopied && bytes >= InPlace.segmentBytesMin {
      switch sendRegistered(slot, tables, step, cursor, lane, bytes) {
      case .sent: return true
      case .notYet: return false
      case .notReached: break
      }
    }
    let source = address(slot, tables, step.pointee.extents.lowerBound, step, cursor)
    let call = operation.pointee.call
    let count = messageCount(operation, tables, step)
    let first = link(Int(tables.pointee.peers[Int(step.pointee.peers.lowerBound)]))
    let sequence = first._withUnsafeGuaranteedRef {
      // One copy that several peers read beats a copy for each of them.
      let isShared = $0.inPlace.shareGroup != 0 && (step.pointee.peers.count > 1 || tables.pointee.prefersWindows)
      return $0.send(lane, call, count, source, bytes, copied: step.pointee.isCopied || isShared)
    }
    finishSend(slot, step, cursor, lane, bytes, source, first, sequence)
    return true
  }

  /// The number of elements that the segments of a message say, and are compared by.
  @inline(__always)
  func messageCount(
    _ operation: UnsafeMutablePointer<Operation>, _ tables: UnsafeMutablePointer<PlanTables>,
    _ step: UnsafeMutablePointer<CompiledStep>
  ) -> UInt64 {
    tables.pointee.countsByMessage
      ? UInt64(step.pointee.bytes / operation.pointee.elementBytes) : operation.pointee.count
  }

  /// Hands the segment that the first peer's link has just sent to the other peers, and moves the cursor.
  @inline(__always)
  private func finishSend(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>, _ lane: Int, _ bytes: Int, _ source: UnsafeRawPointer, _ first: Unmanaged<Link>,
    _ sequence: UInt64
  ) {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let count = messageCount(operation, tables, step)
    let isFirstSegment = cursor.pointee.segments == 0
    let peers = step.pointee.peers
    if isFirstSegment { slot.pointee.firstSequences[Int(peers.lowerBound)] = sequence }
    var peer = peers.lowerBound + 1
    while peer < peers.upperBound {
      let other = link(Int(tables.pointee.peers[Int(peer)]))
      let otherSequence = first._withUnsafeGuaranteedRef { first in
        other._withUnsafeGuaranteedRef { link in
          if link.inPlace.shareGroup != 0 && link.inPlace.shareGroup == first.inPlace.shareGroup {
            return inPlace(link).sendShared(
              lane, operation.pointee.call, count, bytes, original: first, originalSequence: sequence)
          }
          if !step.pointee.isForwarded {
            return link.send(lane, operation.pointee.call, count, source, bytes, copied: step.pointee.isCopied)
          }
          // The first link's memory is not ours for longer than this.
          if bytes > 0 { tutti_copy(link.reserve(lane, bytes), source, bytes, 0) }
          return link.commit(lane, operation.pointee.call, count, bytes)
        }
      }
      if isFirstSegment { slot.pointee.firstSequences[Int(peer)] = otherSequence }
      peer += 1
    }
    move(tables, step, cursor, past: bytes)
  }

  /// The arrived segment at the head of a lane, checked against this rank's call; nil when there is none yet.
  @inline(__always)
  private func arrival(
    _ link: Unmanaged<Link>, _ lane: Int, _ operation: UnsafeMutablePointer<Operation>, _ count: UInt64, _ bytes: Int,
    offering destination: UnsafeMutableRawPointer?
  ) -> UnsafePointer<Arrival>? {
    let found = link._withUnsafeGuaranteedRef { link -> UnsafePointer<Arrival>? in
      if let destination, bytes >= InPlace.segmentBytesMin, link.inPlace.fetches {
        link.offer(lane, operation.pointee.call, count, destination, bytes)
      }
      if let arrival = link.peek(lane) { return arrival }
      if !link.needsProgress { return nil }
      if let destination { link.offer(lane, operation.pointee.call, count, destination, bytes) }
      link.progress()
      return link.peek(lane)
    }
    guard let found else { return nil }
    if found.pointee.call == operation.pointee.call && found.pointee.count == count && found.pointee.bytes == bytes {
      return found
    }
    noteMismatch(link, found, operation, count, bytes)
    return nil
  }

  private func executeReceive(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let bytes = segmentBytes(tables, step, cursor)
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(step.pointee.channel))
    let link = link(Int(tables.pointee.peers[Int(step.pointee.peers.lowerBound)]))
    guard isReady(slot, slotIndex, tables, step, end: cursor.pointee.position + UInt64(bytes)) else {
      if isAsked(link, lane) { declineGrants(step, cursor, link, lane, mayGrantLater: slot.pointee.hasRegistered) }
      return false
    }
    let destination = address(slot, tables, step.pointee.extents.lowerBound, step, cursor)
    let count = messageCount(operation, tables, step)
    if slot.pointee.hasRegistered && bytes >= InPlace.segmentBytesMin {
      grantAhead(slot, slotIndex, tables, step, cursor, link, lane)
    }
    if isAsked(link, lane) { declineGrants(step, cursor, link, lane, mayGrantLater: false) }
    guard let arrival = arrival(link, lane, operation, count, bytes, offering: destination) else { return false }
    if bytes > 0 && !arrival.pointee.placed {
      tutti_copy(destination, arrival.pointee.payload, bytes, step.pointee.isStreaming ? 1 : 0)
      if arrival.pointee.borrowed && !inPlace(link)._withUnsafeGuaranteedRef({ $0.isIntact(lane) }) { return false }
    }
    link._withUnsafeGuaranteedRef { $0.consume(lane) }
    move(tables, step, cursor, past: bytes)
    return true
  }

  private func executeCombine(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ index: Int32,
    _ step: UnsafeMutablePointer<CompiledStep>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let bytes = segmentBytes(tables, step, cursor)
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(step.pointee.channel))
    guard isReady(slot, slotIndex, tables, step, end: cursor.pointee.position + UInt64(bytes)) else {
      answerAskers(tables, step, cursor, lane)
      return false
    }
    let count = messageCount(operation, tables, step)
    let sources = core.pointee.sources
    var sourceCount = 0
    var isBorrowing = false
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + Int(index)
      if source.pointee.isSlot {
        guard let arrival = arrival(link(Int(source.pointee.peer)), lane, operation, count, bytes, offering: nil) else {
          answerAskers(tables, step, cursor, lane)
          return false
        }
        sources[sourceCount] = arrival.pointee.payload
        if arrival.pointee.borrowed { isBorrowing = true }
      } else {
        sources[sourceCount] = UnsafeRawPointer(address(slot, tables, source.pointee.extent, step, cursor))
      }
      sourceCount += 1
    }
    if bytes > 0 {
      let fused = step.pointee.fusedSend
      if step.pointee.isForwarded {
        if !combineIntoSend(slot, slotIndex, index, fused, cursor, nil, sourceCount, bytes, step, isBorrowing) {
          return false
        }
      } else {
        let destination = address(slot, tables, step.pointee.extents.lowerBound, step, cursor)
        if fused < 0
          || !combineIntoSend(slot, slotIndex, index, fused, cursor, destination, sourceCount, bytes, step, isBorrowing)
        {
          // Operands of a peer that has failed meanwhile may have been combined in vain.
          if fused >= 0 && isBorrowing && !operandsAreIntact(tables, step, lane) { return false }
          // What is sent next is read again.
          let streaming = step.pointee.isStreaming && fused < 0 ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
          combine(slot, destination, nil, sourceCount, bytes, streaming, step, cursor.pointee.position)
          if isBorrowing && !operandsAreIntact(tables, step, lane) { return false }
        }
      }
    }
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + Int(index)
      if source.pointee.isSlot {
        link(Int(source.pointee.peer))._withUnsafeGuaranteedRef { $0.consume(lane) }
      }
    }
    move(tables, step, cursor, past: bytes)
    return true
  }

  @inline(__always)
  private func combine(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ destination: UnsafeMutableRawPointer, _ second: UnsafeMutableRawPointer?,
    _ sourceCount: Int, _ bytes: Int, _ streaming: Int, _ step: UnsafeMutablePointer<CompiledStep>, _ position: UInt64
  ) {
    let operation = slot.pointee.operation
    let sources = core.pointee.sources
    if let average = operation.pointee.reduction.pointee.average {
      if operation.pointee.reduction.pointee.dividesContributions && !step.pointee.parts.isEmpty {
        combineParts(slot, average, destination, second, sourceCount, bytes, streaming, step, position)
        return
      }
      if step.pointee.completes && !step.pointee.isBalanced {
        average(
          destination, second, sources, Int32(truncatingIfNeeded: sourceCount), bytes / operation.pointee.elementBytes,
          Int32(truncatingIfNeeded: streaming), operation.pointee.divisor, nil)
        return
      }
    }
    if step.pointee.isBalanced {
      foldBalanced(slot, step, destination, second, sourceCount, bytes, Int32(truncatingIfNeeded: streaming), nil)
      return
    }
    if sourceCount == 1 && second == nil {
      tutti_copy(destination, sources[0].unsafelyUnwrapped, bytes, Int32(truncatingIfNeeded: streaming))
      return
    }
    operation.pointee.reduction.pointee.combine(
      destination, second, sources, Int32(truncatingIfNeeded: sourceCount), bytes / operation.pointee.elementBytes,
      Int32(truncatingIfNeeded: streaming))
  }

  /// Combines a segment of an average in which contributions are divided as they enter: part by part, in each of
  /// which the same operands are contributions.
  @inline(never)
  private func combineParts(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ average: AverageFunction, _ destination: UnsafeMutableRawPointer,
    _ second: UnsafeMutableRawPointer?, _ sourceCount: Int, _ bytes: Int, _ streaming: Int,
    _ step: UnsafeMutablePointer<CompiledStep>, _ position: UInt64
  ) {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let sources = core.pointee.sources
    var done = 0
    for index in step.pointee.parts.asInts {
      let part = tables.pointee.parts + index
      if part.pointee.end <= position + UInt64(done) { continue }
      let size = min(Int(part.pointee.end - position) - done, bytes - done)
      let divisions = tables.pointee.divisions + Int(part.pointee.divisions)
      if step.pointee.isBalanced {
        foldBalanced(
          slot, step, destination + done, second.map { $0 + done }, sourceCount, size,
          Int32(truncatingIfNeeded: streaming), divisions)
      } else {
        average(
          destination + done, second.map { $0 + done }, sources, Int32(truncatingIfNeeded: sourceCount),
          size / operation.pointee.elementBytes, Int32(truncatingIfNeeded: streaming), operation.pointee.divisor,
          part.pointee.dividesSum ? nil : divisions)
      }
      done += size
      if done == bytes { return }
      for source in 0..<sourceCount { sources[source] = sources[source].unsafelyUnwrapped + size }
    }
    preconditionFailure("the parts of a combine make up its stream")
  }

  /// Combines straight into the memory the next send travels in, and sends it: one pass over the data instead of two,
  /// or, with no destination, no memory of its own. Returns whether the send's turn had come and there is credit, and
  /// it would save something; otherwise nothing was done, or what was is of no use, because a peer has failed.
  private func combineIntoSend(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ index: Int32, _ fused: Int32,
    _ cursor: UnsafeMutablePointer<Cursor>, _ destination: UnsafeMutableRawPointer?, _ sourceCount: Int, _ bytes: Int,
    _ step: UnsafeMutablePointer<CompiledStep>, _ isBorrowing: Bool
  ) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    let send = tables.pointee.steps + Int(fused)
    let sendCursor = slot.pointee.cursors + Int(fused)
    let head = slot.pointee.heads[Int(send.pointee.queue)]
    guard tables.pointee.queueSteps[Int(head)] == fused, sendCursor.pointee.position == cursor.pointee.position,
      isReady(slot, slotIndex, tables, send, end: cursor.pointee.position + UInt64(bytes), except: index)
    else { return false }
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(send.pointee.channel))
    for peer in send.pointee.peers.asInts where !hasCredit(link(Int(tables.pointee.peers[Int(peer)])), lane) { return false }
    let first = link(Int(tables.pointee.peers[Int(send.pointee.peers.lowerBound)]))
    if destination != nil && !first._withUnsafeGuaranteedRef({ $0.composesInPlace }) { return false }
    let count = messageCount(operation, tables, send)
    if first._withUnsafeGuaranteedRef({ $0.inPlace.reachesRegisteredMemory }), send.pointee.peers.count == 1,
      let place = inPlace(first)._withUnsafeGuaranteedRef({ $0.placement(lane, bytes) })
    {
      let streaming = step.pointee.isStreaming ? TUTTI_STREAM_BOTH : TUTTI_STREAM_NOTHING
      combine(
        slot, destination ?? place, destination == nil ? nil : place, sourceCount, bytes, streaming,
        step, cursor.pointee.position)
      if isBorrowing && !operandsAreIntact(tables, step, lane) {
        inPlace(first)._withUnsafeGuaranteedRef { $0.cancelPlacement(lane) }
        return false
      }
      let sequence = inPlace(first)._withUnsafeGuaranteedRef {
        $0.commitPlacement(lane, operation.pointee.call, count, bytes)
      }
      finishSend(slot, send, sendCursor, lane, bytes, place, first, sequence)
      return true
    }
    let window = first._withUnsafeGuaranteedRef { $0.reserve(lane, bytes) }
    if let destination {
      let streaming = step.pointee.isStreaming ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
      combine(slot, destination, window, sourceCount, bytes, streaming, step, cursor.pointee.position)
    } else {
      combine(slot, window, nil, sourceCount, bytes, TUTTI_STREAM_NOTHING, step, cursor.pointee.position)
    }
    if isBorrowing && !operandsAreIntact(tables, step, lane) { return false }
    let sequence = first._withUnsafeGuaranteedRef { $0.commit(lane, operation.pointee.call, count, bytes) }
    finishSend(slot, send, sendCursor, lane, bytes, destination ?? window, first, sequence)
    return true
  }
}
