import TuttiSystem

#if RDMA
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// A word that a device writes.
  typealias DeviceWord = Atomic<UInt64>

  /// Handles completions: what has arrived, and which sends are over. Every byte that the peer wrote is checked here.
  extension RDMALink {
    /// Takes all completions that are there, and acts on them. Returns whether there were any.
    @discardableResult
    func poll() -> Bool {
      guard takeCompletions() else { return false }
      refill()
      if state.pointee.peerHasClosed { endAfterGoodbye() }
      return true
    }

    /// Takes all completions that are there. Returns whether there were any.
    @discardableResult
    func takeCompletions() -> Bool {
      var any = false
      for index in 0..<queueCount {
        // The peer cannot send more than its credit, but the bound of this loop must not depend on that.
        for _ in 0..<65 {
          let count = ibv_poll_cq(queues[index], Int32(Self.foundMax), found)
          if count < 0 { failPolling() }
          if count <= 0 { break }
          any = true
          state.pointee.hasTaken = true
          for number in 0..<Int(count) { take(found + number) }
          if count < Int32(Self.foundMax) { break }
        }
      }
      return any
    }

    @inline(__always)
    private func take(_ completion: UnsafeMutablePointer<ibv_wc>) {
      let id = completion.pointee.wr_id
      let pair = RequestID.queuePair(id)
      let isGood = completion.pointee.status == IBV_WC_SUCCESS
      if RequestID.isReceive(id) {
        pairs[pair].usedReceives += 1
        if isGood { return takeImmediate(UInt32(bigEndian: completion.pointee.imm_data)) }
      } else {
        // All that was posted before it is over as well.
        pairs[pair].retired = RequestID.posted(id)
        if isGood {
          if RequestID.isHeld(id) { lanes[RequestID.lane(id)].held &= ~(1 << UInt32(RequestID.slot(id))) }
          return
        }
      }
      failCompletion(completion.pointee.status, completion.pointee.vendor_err, pair, isReceive: RequestID.isReceive(id))
    }

    private func takeImmediate(_ rawValue: UInt32) {
      let immediate = RDMAImmediate(rawValue: rawValue)
      let lane = immediate.lane
      guard let kind = immediate.kind, lane < Lane.count else {
        return refuse("a message of unknown kind (\(String(rawValue, radix: 16)))")
      }
      switch kind {
      case .data: takeData(lane, immediate.number(from: lanes[lane].consumed + 1))
      case .credit: takeAcknowledgement(lane, immediate.number(from: lanes[lane].acknowledged))
      case .question: takeQuestion(lane, immediate)
      case .answer: break
      case .goodbye: state.pointee.peerHasClosed = true
      }
    }

    private func takeData(_ lane: Int, _ sequence: UInt64) {
      let slot = slotIndex(sequence)
      let bit: UInt32 = 1 << UInt32(slot)
      guard sequence &- lanes[lane].consumed <= UInt64(Lane.credit), lanes[lane].arrived & bit == 0 else {
        return refuse("segment \(sequence) of lane \(lane) beyond its credit")
      }
      let header = memory + layout.inbox(lane, slot) + RDMALayout.headerOffset
      let bytes = Int(header.load(fromByteOffset: 16, as: UInt32.self))
      let acknowledged = header.load(fromByteOffset: 20, as: UInt32.self)
      let kind = header.load(fromByteOffset: 28, as: UInt32.self)
      guard header.load(fromByteOffset: 24, as: UInt32.self) == UInt32(truncatingIfNeeded: sequence),
        bytes <= segmentBytesMax, kind <= RDMAHeader.granted
      else { return refuse("a segment whose header cannot be (\(bytes) bytes, kind \(kind))") }
      let index = lane * Lane.credit + slot
      let isPlaced = kind == RDMAHeader.granted
      if isPlaced {
        guard grants.isGranted(lane, sequence, bytes) else { return refuse("a segment to a place that was not granted") }
        state.pointee.placedBytes &+= UInt64(bytes)
      }
      arrivals[index] = Arrival(
        call: CallSignature(rawValue: header.load(as: UInt64.self)), count: header.load(fromByteOffset: 8, as: UInt64.self),
        payload: UnsafeRawPointer(header + RDMAHeader.byteCount), bytes: bytes, placed: isPlaced)
      lanes[lane].arrived |= bit
      takeAcknowledgement(
        lane,
        lanes[lane].acknowledged &+ UInt64(acknowledged &- UInt32(truncatingIfNeeded: lanes[lane].acknowledged)))
    }

    @inline(__always)
    private func takeAcknowledgement(_ lane: Int, _ count: UInt64) {
      if count &- lanes[lane].acknowledged <= lanes[lane].sent &- lanes[lane].acknowledged {
        lanes[lane].acknowledged = count
        return
      }
      // Queue pairs overtake each other, so an older count may follow a newer one.
      if pairCount == 1 { refuse("an acknowledgement of segments of lane \(lane) that were never sent") }
    }

    private func takeQuestion(_ lane: Int, _ immediate: RDMAImmediate) {
      // A grant may have crossed the question, and the segment may have come over another queue pair before it.
      let sequence = immediate.number(
        from: lanes[lane].consumed &- min(lanes[lane].consumed, RDMAImmediate.numberMask / 2))
      if sequence <= lanes[lane].consumed { return }
      guard sequence &- lanes[lane].consumed <= UInt64(Lane.credit) else {
        return refuse("a question about segment \(sequence) of lane \(lane), beyond its credit")
      }
      if grants.takeQuestion(lane, sequence) {
        state.pointee.answerDue |= 1 << UInt32(lane)
      } else {
        status.pointee.asked |= 1 << UInt32(lane)
      }
    }

    /// Replaces used receives by new ones, many at a time.
    private func refill() {
      if status.pointee.failed || state.pointee.suspectSince != 0 { return }
      for index in 0..<pairCount where pairs[index].usedReceives >= Int(RDMAConnection.receiveDepth) / 4 {
        let code = connection.postReceives(index, pairs[index].usedReceives)
        pairs[index].usedReceives = 0
        if code != 0 { failPosting(RDMAErrorText.Post.receive, code) }
      }
    }

    // MARK: Failures

    /// Looks at what the connection manager and the devices have noticed.
    func noticeNews() {
      if connection.news.load(ordering: .relaxed) != 0 || connection.fabric.hasTrouble.load(ordering: .relaxed) {
        noticeNewsSlowly()
      }
    }

    @inline(never)
    private func noticeNewsSlowly() {
      if status.pointee.failed { return }
      for index in 0..<pairCount {
        if let report = connection.fabric.ports[pairs[index].rail].failure(rank: connection.rank, peer: peer) {
          return fail(report)
        }
      }
      let news = connection.news.load(ordering: .acquiring)
      if news == 0 { return }
      // What arrived before is in the queues.
      poll()
      if status.pointee.failed { return }
      if news & RDMAConnection.News.deviceRemoved != 0 {
        return fail(
          FailureReport(
            .transport, rank: connection.rank, peer: connection.rank,
            "the RDMA device of rank \(connection.rank) was removed (RDMA_CM_EVENT_DEVICE_REMOVAL)",
            advice: "Look at the kernel's log of its host", transport: transport.name))
      }
      takeBackConsumed()
      fail(
        FailureReport(
          .peerLost, rank: connection.rank, peer: peer, "rank \(peer) closed its connection (RDMA_CM_EVENT_DISCONNECTED)",
          advice: "Look at the output of rank \(peer) for the cause", transport: transport.name))
    }

    private func endAfterGoodbye() {
      if status.pointee.failed { return }
      // All that the peer sent has arrived, but other queues may not have shown it yet.
      takeCompletions()
      takeBackConsumed()
      fail(
        FailureReport(
          .peerLost, rank: connection.rank, peer: peer, "rank \(peer) closed its connection",
          advice: "Look at the output of rank \(peer) for the cause", transport: transport.name))
    }

    /// How long requests take to come back from a queue pair that was stopped: microseconds, unless the device is in
    /// trouble.
    private static let flushNanosecondsMax: UInt64 = 100_000_000

    /// Counts segments that the peer has consumed as delivered, although its device's last acknowledgements may be lost.
    private func takeBackConsumed() {
      guard (0..<Lane.count).contains(where: { lanes[$0].held != 0 }) else { return }
      state.pointee.isStopped = true
      connection.stop()
      let end = monotonicNanoseconds() + Self.flushNanosecondsMax
      while !isDrained, monotonicNanoseconds() < end {
        takeCompletions()
        sched_yield()
      }
      for lane in 0..<Lane.count {
        var sequence = lanes[lane].acknowledged
        while sequence > 0, lanes[lane].acknowledged - sequence < UInt64(Lane.credit) {
          lanes[lane].held &= ~(1 << UInt32(slotIndex(sequence)))
          sequence -= 1
        }
      }
    }

    @inline(never)
    private func failCompletion(_ status: ibv_wc_status, _ vendor: UInt32, _ pair: Int, isReceive: Bool) {
      // After the first failure, all other requests are flushed.
      if failure != nil || state.pointee.isStopped { return }
      if state.pointee.suspectSince != 0 { return }
      suspicion = RDMAErrorText.completion(
        status: status.rawValue, vendorError: vendor, isReceive: isReceive, rank: connection.rank, peer: peer,
        rail: connection.fabric.rails[pairs[pair].rail], settings: connection.fabric.settings)
      state.pointee.suspectSince = monotonicNanoseconds()
      resolveSuspicion()
    }

    /// How long the cause of a failed request is looked for: requests fail some moments before a device says that its port
    /// went down, and the connection manager that the peer is gone.
    private static let suspicionNanoseconds: UInt64 = 100_000_000

    /// Fails the link: with its true cause once that has shown up, or with the suspicion after a while.
    @inline(never)
    func resolveSuspicion() {
      if status.pointee.failed { return }
      for index in 0..<pairCount {
        // Nothing gets through a port that is down, so the port is the cause, and not the peer.
        let port = connection.fabric.ports[pairs[index].rail]
        if let report = port.presentFailure(rank: connection.rank, peer: peer) { return fail(report) }
      }
      if monotonicNanoseconds() &- state.pointee.suspectSince > Self.suspicionNanoseconds, let suspicion { fail(suspicion) }
    }

    @inline(never)
    private func failPolling() {
      if failure != nil || state.pointee.isStopped { return }
      fail(
        FailureReport(
          .transport, rank: connection.rank, peer: peer, "the completion queue of the link to rank \(peer) is broken",
          advice: "Look at the kernel's log for the device", transport: transport.name))
    }

    @inline(never)
    private func refuse(_ what: String) {
      fail(
        FailureReport(
          .transport, rank: connection.rank, peer: peer, "rank \(peer) sent \(what)",
          advice: "Run the same version of the library on all ranks; if they are the same, something altered its memory",
          transport: transport.name))
    }
  }
#endif
