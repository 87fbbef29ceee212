import TuttiSystem

#if RDMA
  import CTuttiVerbs
  import Glibc
  import TuttiTransport

  /// Turns the engine's calls into work requests. All requests of one segment are posted with one call.
  extension RDMALink {
    /// How many entries of the send queue are kept for messages of the link's own.
    static let ownRequests: UInt32 = 24
    /// Every so many requests, one makes a completion, so that the queue's entries come free.
    private static let signalEvery: UInt32 = 16

    @inline(__always)
    func hasRoom(_ pair: Int, _ requests: UInt32) -> Bool {
      RDMAConnection.sendDepth &- (pairs[pair].posted &- pairs[pair].retired) >= requests
    }

    @inline(__always)
    func outbox(_ lane: Int, _ sequence: UInt64) -> UnsafeMutableRawPointer {
      memory + layout.outbox(lane, slotIndex(sequence)) + RDMALayout.payloadOffset
    }

    // MARK: Posting

    enum Way { case inlined, staged, held }

    /// Posts one segment: payload and header together to a slot of the peer's inbox; or, where the peer has granted a place
    /// or a message may not be that long, the payload first.
    func post(
      _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UInt, _ key: UInt32, _ bytes: Int, _ way: Way
    ) -> UInt64 {
      let sequence = lanes[lane].sent + 1
      let slot = slotIndex(sequence)
      let pair = pairIndex(sequence)
      let place = bytes >= InPlace.segmentBytesMin ? grants.peerPlace(lane, sequence, bytes) : nil
      let header = memory + layout.outbox(lane, slot) + RDMALayout.headerOffset
      header.storeBytes(of: call.rawValue, as: UInt64.self)
      header.storeBytes(of: count, toByteOffset: 8, as: UInt64.self)
      header.storeBytes(of: UInt32(truncatingIfNeeded: bytes), toByteOffset: 16, as: UInt32.self)
      header.storeBytes(of: UInt32(truncatingIfNeeded: lanes[lane].consumed), toByteOffset: 20, as: UInt32.self)
      header.storeBytes(of: UInt32(truncatingIfNeeded: sequence), toByteOffset: 24, as: UInt32.self)
      header.storeBytes(of: place == nil ? RDMAHeader.follows : RDMAHeader.granted, toByteOffset: 28, as: UInt32.self)
      lanes[lane].announced = lanes[lane].consumed
      state.pointee.creditDue &= ~(1 << UInt32(lane))

      let inbox = connection.remoteBase &+ UInt64(layout.inbox(lane, slot))
      var requestCount = 0
      let isTogether = place == nil && RDMAHeader.byteCount + bytes <= messageBytesMax
      if !isTogether {
        var done = 0
        let target = place?.address ?? (inbox &+ UInt64(RDMALayout.payloadOffset))
        let targetKey = place?.key ?? pairs[pair].remoteKey
        while done < bytes {
          let length = min(bytes - done, messageBytesMax)
          pieces[requestCount + 1] = ibv_sge(
            addr: UInt64(source) + UInt64(done), length: UInt32(truncatingIfNeeded: length), lkey: key)
          setRequest(
            requestCount, IBV_WR_RDMA_WRITE, pieces + (requestCount + 1), 1, target &+ UInt64(done), targetKey, flags: 0)
          done += length
          requestCount += 1
        }
      }
      // The piece of the header, and after it that of a payload that goes along.
      let last = pieces + (isTogether ? 0 : requestCount + 1)
      let isContiguous = isTogether && way == .staged
      last[0] = ibv_sge(
        addr: UInt64(UInt(bitPattern: header)),
        length: UInt32(truncatingIfNeeded: RDMAHeader.byteCount + (isContiguous ? bytes : 0)), lkey: pairs[pair].localKey)
      var pieceCount: Int32 = 1
      if isTogether && !isContiguous && bytes > 0 {
        last[1] = ibv_sge(addr: UInt64(source), length: UInt32(truncatingIfNeeded: bytes), lkey: key)
        pieceCount = 2
      }
      let isInline = isTogether ? way == .inlined : pairs[pair].inlineBytesMax >= RDMAHeader.byteCount
      setRequest(
        requestCount, IBV_WR_RDMA_WRITE_WITH_IMM, last, pieceCount, inbox &+ UInt64(RDMALayout.headerOffset),
        pairs[pair].remoteKey, flags: isInline ? IBV_SEND_INLINE.rawValue : 0)
      requests[requestCount].imm_data = RDMAImmediate(.data, lane: lane, number: sequence).rawValue.bigEndian
      requestCount += 1
      if way == .held { lanes[lane].held |= 1 << UInt32(slot) }
      lanes[lane].sent = sequence
      submit(pair, requestCount, held: way == .held ? (lane, slot) : nil, isSignalled: false)
      return sequence
    }

    @inline(__always)
    private func setRequest(
      _ index: Int, _ opcode: ibv_wr_opcode, _ list: UnsafeMutablePointer<ibv_sge>, _ pieceCount: Int32, _ address: UInt64,
      _ key: UInt32, flags: UInt32
    ) {
      let request = requests + index
      request.pointee.opcode = opcode
      request.pointee.sg_list = list
      request.pointee.num_sge = pieceCount
      request.pointee.wr.rdma.remote_addr = address
      request.pointee.wr.rdma.rkey = key
      // A request with immediate data wakes a peer that sleeps.
      request.pointee.send_flags = flags | (opcode == IBV_WR_RDMA_WRITE ? 0 : IBV_SEND_SOLICITED.rawValue)
    }

    /// Posts the first requests of the list, in one call.
    private func submit(_ pair: Int, _ count: Int, held: (lane: Int, slot: Int)?, isSignalled: Bool) {
      let entry = pairs + pair
      for index in 0..<count {
        entry.pointee.posted &+= 1
        requests[index].wr_id = RequestID.send(queuePair: pair, posted: entry.pointee.posted)
        requests[index].next = index + 1 < count ? requests + (index + 1) : nil
      }
      entry.pointee.unsignalled &+= UInt32(truncatingIfNeeded: count)
      let last = requests + (count - 1)
      if let held {
        last.pointee.wr_id = RequestID.held(
          queuePair: pair, posted: entry.pointee.posted, lane: held.lane, slot: held.slot)
      }
      if held != nil || isSignalled || entry.pointee.unsignalled >= Self.signalEvery {
        last.pointee.send_flags |= IBV_SEND_SIGNALED.rawValue
        entry.pointee.unsignalled = 0
      }
      var bad: UnsafeMutablePointer<ibv_send_wr>?
      let code = ibv_post_send(entry.pointee.pair, requests, &bad)
      if code != 0 { failPosting(.send, code) }
    }

    @inline(never)
    func failPosting(_ post: RDMAErrorText.Post, _ code: Int32) {
      if failure != nil || state.pointee.isStopped || state.pointee.suspectSince != 0 { return }
      fail(RDMAErrorText.posting(post, error: code, rank: connection.rank, peer: peer))
    }

    // MARK: The link's own messages

    /// Sends what is due: credit, questions, answers.
    func flush() {
      var due = state.pointee.creditDue | state.pointee.questionDue | state.pointee.answerDue
      while due != 0, !status.pointee.failed, state.pointee.suspectSince == 0 {
        let lane = due.trailingZeroBitCount
        let bit: UInt32 = 1 << UInt32(lane)
        due &= ~bit
        guard hasRoom(0, 4) else { return }
        if state.pointee.answerDue & bit != 0 {
          state.pointee.answerDue &= ~bit
          postOwn(
            IBV_WR_RDMA_WRITE_WITH_IMM, grants.answer(lane), RDMAImmediate(.answer, lane: lane, number: 0))
        }
        if state.pointee.questionDue & bit != 0 {
          state.pointee.questionDue &= ~bit
          postImmediate(RDMAImmediate(.question, lane: lane, number: grants.question(lane)), isSignalled: false)
        }
        if state.pointee.creditDue & bit != 0 {
          state.pointee.creditDue &= ~bit
          lanes[lane].announced = lanes[lane].consumed
          postImmediate(RDMAImmediate(.credit, lane: lane, number: lanes[lane].consumed), isSignalled: false)
        }
      }
    }

    /// Sends a message of no bytes.
    func postImmediate(_ immediate: RDMAImmediate, isSignalled: Bool) {
      setRequest(0, IBV_WR_SEND_WITH_IMM, pieces, 0, 0, 0, flags: 0)
      requests[0].imm_data = immediate.rawValue.bigEndian
      submit(0, 1, held: nil, isSignalled: isSignalled)
    }

    /// Writes a line of grants to the peer's table, with or without telling it.
    func postOwn(_ opcode: ibv_wr_opcode, _ line: RDMAGrants.Line, _ immediate: RDMAImmediate?) {
      pieces[0] = ibv_sge(
        addr: UInt64(UInt(bitPattern: line.source)), length: UInt32(truncatingIfNeeded: line.bytes),
        lkey: pairs[0].localKey)
      setRequest(
        0, opcode, pieces, 1, connection.remoteBase &+ UInt64(line.offset), pairs[0].remoteKey,
        flags: line.bytes <= pairs[0].inlineBytesMax ? IBV_SEND_INLINE.rawValue : 0)
      if let immediate { requests[0].imm_data = immediate.rawValue.bigEndian }
      submit(0, 1, held: nil, isSignalled: false)
    }

    func answer(_ lane: Int) {
      status.pointee.asked &= ~(1 << UInt32(lane))
      state.pointee.answerDue |= 1 << UInt32(lane)
      flush()
    }

    /// Sends an empty write over every queue pair on which nothing is known to be under way: if it is not acknowledged, the
    /// peer's host is gone.
    func probe() {
      let now = monotonicNanoseconds()
      if now &- state.pointee.lastProbe < Self.probeNanoseconds { return }
      state.pointee.lastProbe = now
      // Where the last request makes a completion, that tells.
      for pair in 0..<pairCount where pairs[pair].posted == pairs[pair].retired || pairs[pair].unsignalled > 0 {
        if hasRoom(pair, 1) { postEmpty(pair) }
      }
    }

    private static let probeNanoseconds: UInt64 = 250_000_000

    /// Makes sure that everything posted is followed by a completion.
    func signalTails() {
      for pair in 0..<pairCount where pairs[pair].unsignalled > 0 && hasRoom(pair, 1) { postEmpty(pair) }
    }

    private func postEmpty(_ pair: Int) {
      setRequest(0, IBV_WR_RDMA_WRITE, pieces, 0, connection.remoteBase, pairs[pair].remoteKey, flags: 0)
      submit(pair, 1, held: nil, isSignalled: true)
    }
  }
#endif
