import CTuttiKernels
import TuttiSchedule
import TuttiTransport

// The step that computes: combines the next segment of its operands, from where they lie or have landed.

/// The operands of the combine in hand. Their addresses are in ``EngineCore/sources``.
struct Operands {
  var count = 0
  /// Whether one of them lies in memory of its sender, which may take that back.
  var isBorrowing = false
}

extension StepContext {
  /// Combines the operands' segment into the step's stream, once all of them are there.
  @inline(__always)
  func combine() -> Bool {
    guard isReady(), let operands = gatherOperands() else {
      answerAskers()
      return false
    }
    if bytes > 0 {
      let isFused = step.pointee.fusedSend >= 0
      let destination = step.pointee.forwarded ? nil : address
      let isSent = isFused ? combineIntoSend(operands, destination) : false
      if !isSent {
        // It has to wait for the send that goes with it, or a peer has failed meanwhile.
        guard let destination, combineInMemory(operands, destination, isFused: isFused) else { return false }
      }
    }
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      if source.pointee.isSlot { link(of: source)._withUnsafeGuaranteedRef { $0.consume(lane) } }
    }
    move()
    return true
  }

  /// Finds the segment of each operand; nil while one has not arrived.
  @inline(__always)
  private func gatherOperands() -> Operands? {
    let count = messageCount
    let sources = core.pointee.sources
    var operands = Operands()
    for index in step.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      if source.pointee.isSlot {
        guard let arrival = arrival(on: link(of: source), count, offering: nil) else { return nil }
        sources[operands.count] = arrival.pointee.payload
        if arrival.pointee.borrowed { operands.isBorrowing = true }
      } else {
        sources[operands.count] = UnsafeRawPointer(address(inExtentsFrom: source.pointee.extent))
      }
      operands.count += 1
    }
    return operands
  }

  /// Combines where the result belongs. Returns whether the operands were what their senders meant.
  @inline(__always)
  private func combineInMemory(_ operands: Operands, _ destination: UnsafeMutableRawPointer, isFused: Bool) -> Bool {
    // Operands of a peer that has failed meanwhile may have been combined in vain.
    if isFused && operands.isBorrowing && !operandsAreIntact() { return false }
    // Where a send goes with it, that reads the result again: it must not be stored past the cache.
    let streaming = step.pointee.streaming && !isFused ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
    runKernel(operands, into: destination, streaming: streaming)
    return !operands.isBorrowing || operandsAreIntact()
  }

  /// Combines straight into the memory that the next send travels in, and sends it: one pass over the data instead of two,
  /// or, with no destination, no memory of its own.
  ///
  /// - Returns: Whether the segment was sent. It is not where the send's turn has not come, where there is no credit, where
  ///   nothing would be saved, or where a peer has failed meanwhile, so that what was combined is of no use.
  @inline(__always)
  private func combineIntoSend(_ operands: Operands, _ destination: UnsafeMutableRawPointer?) -> Bool {
    let fused = step.pointee.fusedSend
    let step = tables.pointee.steps + Int(fused)
    let cursor = slot.pointee.cursors + Int(fused)
    let head = slot.pointee.heads[Int(step.pointee.queue)]
    guard tables.pointee.queueSteps[Int(head)] == fused, cursor.pointee.position == self.cursor.pointee.position else {
      return false
    }
    let send = StepContext(core, slot, step, cursor)
    assert(send.bytes == bytes, "a combine and its send have the same segments")
    guard send.isReady(except: Int32(truncatingIfNeeded: self.cursor - slot.pointee.cursors)), send.hasCredit else {
      return false
    }
    let first = send.link(at: Int(step.pointee.peers.lowerBound))
    if destination != nil && !first._withUnsafeGuaranteedRef({ $0.composesInPlace }) { return false }
    if first._withUnsafeGuaranteedRef({ $0.inPlace.reachesRegisteredMemory }), step.pointee.peers.count == 1,
      let place = first.asInPlaceLink._withUnsafeGuaranteedRef({ $0.placement(send.lane, bytes) })
    {
      return combineAtReceiver(operands, destination, send, place)
    }
    let window = first._withUnsafeGuaranteedRef { $0.reserve(send.lane, bytes) }
    if bytes >= InPlace.segmentBytesMin, first._withUnsafeGuaranteedRef({ send.streams(over: $0) }) {
      combineStreamed(operands, destination, window)
    } else {
      let streaming =
        destination != nil && self.step.pointee.streaming ? TUTTI_STREAM_DESTINATION : TUTTI_STREAM_NOTHING
      runKernel(operands, into: destination ?? window, and: destination == nil ? nil : window, streaming: streaming)
    }
    if operands.isBorrowing && !operandsAreIntact() { return false }
    let sequence = first._withUnsafeGuaranteedRef {
      $0.commit(send.lane, operation.pointee.call, send.messageCount, bytes)
    }
    send.finishSend(destination ?? window, first, sequence)
    return true
  }

  /// Combines into the receiver's own memory, at `place`. Returns whether the operands were what their senders meant.
  ///
  /// A function of its own: the optimizer stops inlining into one that has become too large.
  @inline(never)
  private func combineAtReceiver(
    _ operands: Operands, _ destination: UnsafeMutableRawPointer?, _ send: StepContext, _ place: UnsafeMutableRawPointer
  ) -> Bool {
    let receiver = send.link(at: Int(send.step.pointee.peers.lowerBound))
    let streaming = step.pointee.streaming ? TUTTI_STREAM_BOTH : TUTTI_STREAM_NOTHING
    runKernel(operands, into: destination ?? place, and: destination == nil ? nil : place, streaming: streaming)
    if operands.isBorrowing && !operandsAreIntact() {
      receiver.asInPlaceLink._withUnsafeGuaranteedRef { $0.cancelPlacement(send.lane) }
      return false
    }
    let sequence = receiver.asInPlaceLink._withUnsafeGuaranteedRef {
      $0.commitPlacement(send.lane, operation.pointee.call, send.messageCount, bytes)
    }
    send.finishSend(place, receiver, sequence)
    return true
  }

  /// Whether large segments go into the link's windows past the caches of this core.
  @inline(__always)
  private func streams(over link: Link) -> Bool { link.inPlace.shareGroup != 0 && way(over: link) == .streamedWindow }

  /// Combines into the window, past the caches, and into the destination, where there is one.
  @inline(never)
  private func combineStreamed(
    _ operands: Operands, _ destination: UnsafeMutableRawPointer?, _ window: UnsafeMutableRawPointer
  ) {
    guard let destination else {
      runKernel(operands, into: window, streaming: TUTTI_STREAM_DESTINATION)
      return
    }
    if step.pointee.streaming || operands.count == 1 {
      runKernel(operands, into: destination, and: window, streaming: TUTTI_STREAM_BOTH)
    } else {
      // The destination is read again, so it had better stay in the cache.
      runKernel(operands, into: window, and: destination, streaming: TUTTI_STREAM_DESTINATION)
    }
  }

  // MARK: Kernels

  /// Combines the operands, by the kernel, into one or two destinations.
  @inline(__always)
  private func runKernel(
    _ operands: Operands, into destination: UnsafeMutableRawPointer, and second: UnsafeMutableRawPointer? = nil,
    streaming: Int
  ) {
    let sources = core.pointee.sources
    let sourceCount = Int32(truncatingIfNeeded: operands.count)
    let flags = Int32(truncatingIfNeeded: streaming)
    if let average = operation.pointee.reduction.pointee.average {
      if operation.pointee.reduction.pointee.dividesContributions && !step.pointee.parts.isEmpty {
        combineParts(operands, average, destination, second, flags)
        return
      }
      if step.pointee.completes && !step.pointee.isBalanced {
        average(
          destination, second, sources, sourceCount, bytes / operation.pointee.elementBytes, flags,
          operation.pointee.divisor, nil)
        return
      }
    }
    if step.pointee.isBalanced {
      foldBalanced(operands, destination, second, bytes, flags, nil)
      return
    }
    if operands.count == 1 && second == nil {
      tutti_copy(destination, sources[0].unsafelyUnwrapped, bytes, flags)
      return
    }
    operation.pointee.reduction.pointee.combine(
      destination, second, sources, sourceCount, bytes / operation.pointee.elementBytes, flags)
  }

  /// Combines a segment of an average in which contributions are divided as they enter: part by part, in each of
  /// which the same operands are contributions.
  @inline(never)
  private func combineParts(
    _ operands: Operands, _ average: AverageFunction, _ destination: UnsafeMutableRawPointer,
    _ second: UnsafeMutableRawPointer?, _ flags: Int32
  ) {
    let sources = core.pointee.sources
    let position = cursor.pointee.position
    var done = 0
    for index in step.pointee.parts.asInts {
      let part = tables.pointee.parts + index
      if part.pointee.end <= position + UInt64(done) { continue }
      let size = min(Int(part.pointee.end - position) - done, bytes - done)
      let divisions = tables.pointee.divisions + Int(part.pointee.divisions)
      if step.pointee.isBalanced {
        foldBalanced(operands, destination + done, second.map { $0 + done }, size, flags, divisions)
      } else {
        average(
          destination + done, second.map { $0 + done }, sources, Int32(truncatingIfNeeded: operands.count),
          size / operation.pointee.elementBytes, flags, operation.pointee.divisor,
          part.pointee.dividesSum ? nil : divisions)
      }
      done += size
      if done == bytes { return }
      for source in 0..<operands.count { sources[source] = sources[source].unsafelyUnwrapped + size }
    }
    preconditionFailure("the parts of a combine make up its stream")
  }
}
