import TuttiSystem

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// A link between two ranks over RDMA. The sender writes each segment to where it belongs at the receiver, and immediate
  /// data announces it.
  ///
  /// A small segment goes inline. A segment of ordinary memory goes through the outbox to a slot of the peer's inbox, and
  /// one in registered memory goes from where it lies. Any of them goes straight to its destination where the receiver has
  /// granted that in registered memory. Segment k of a lane goes over queue pair k mod count. `docs/RDMA.md` has a picture.
  /// Nothing a peer writes is trusted as an index or a length without a check.
  ///
  /// This file holds the state, what the engine calls, and the end; `+Send` posts; `+Receive` handles what has come, and
  /// failures. What the ends tell each other of places in registered memory is in ``RDMAGrants``.
  package final class RDMALink: InPlaceLink {
    let connection: RDMAConnection
    let layout: RDMALayout
    let memory: UnsafeMutableRawPointer
    /// This rank's registered memory, for the addresses of its offsets.
    let registered: RegisteredMemory?
    let lanes: UnsafeMutablePointer<RDMALane>
    /// For each lane's ``Lane/credit`` slots: what has arrived.
    let arrivals: UnsafeMutablePointer<Arrival>
    let grants: RDMAGrants
    let state: UnsafeMutablePointer<RDMALinkState>
    /// The state of each queue pair.
    let pairs: UnsafeMutablePointer<RDMAPair>
    let pairCount: Int
    /// The completion queues.
    let queues: UnsafeMutablePointer<VerbsLibrary.Queue>
    let queueCount: Int
    /// Requests being put together, and completions being looked at.
    let requests: UnsafeMutablePointer<ibv_send_wr>
    let pieces: UnsafeMutablePointer<ibv_sge>
    let found: UnsafeMutablePointer<ibv_wc>
    /// The descriptor that a waiter sleeps on: the completion channel's, or `epoll` over several.
    private let waiting: Int32
    /// The owner of `waiting` where it is an epoll: `connection` owns the channels.
    private var epoll: OwnedDescriptor?

    static let foundMax = 16
    /// The failure of the link, unless the true cause shows up: see ``RDMALinkState/suspectSince``.
    var suspicion: FailureReport?
    /// The bytes of the longest message, and how many requests a segment takes then.
    let messageBytesMax: Int
    let requestsMax: Int

    /// The bytes of payload that were copied into the outbox; for tests and for people.
    package var copiedBytes: UInt64 { state.pointee.copiedBytes }
    /// The bytes of payload that were sent from where they lie.
    package var uncopiedBytes: UInt64 { state.pointee.uncopiedBytes }
    /// The bytes of payload that came straight to their destination.
    package var placedBytes: UInt64 { state.pointee.placedBytes }

    /// - Parameter connection: An established connection, which the link owns from here on.
    init(_ connection: RDMAConnection, registered: RegisteredMemory?) throws(FailureReport) {
      self.connection = connection
      waiting = try Self.waitingDescriptor(connection)
      epoll = connection.completions.count > 1 ? OwnedDescriptor(waiting) : nil
      layout = connection.layout
      memory = connection.memory
      self.registered = registered
      pairCount = connection.queuePairs.count
      pairs = .allocate(capacity: pairCount)
      for (index, entry) in connection.queuePairs.enumerated() {
        (pairs + index).initialize(
          to: RDMAPair(
            pair: entry.pair, rail: entry.rail, localKey: connection.localKey(rail: entry.rail),
            remoteKey: entry.remoteKey, inlineBytesMax: entry.inlineBytesMax))
      }
      queueCount = connection.completions.count
      queues = .allocate(capacity: queueCount)
      for (index, entry) in connection.completions.enumerated() { (queues + index).initialize(to: entry.queue) }
      lanes = .allocate(capacity: Lane.count)
      lanes.initialize(repeating: RDMALane(), count: Lane.count)
      let slots = Lane.count * Lane.credit
      arrivals = .allocate(capacity: slots)
      let nothing = Arrival(
        call: CallSignature(rawValue: 0), count: 0, payload: UnsafeRawPointer(connection.memory), bytes: 0, placed: false)
      arrivals.initialize(repeating: nothing, count: slots)
      grants = RDMAGrants(connection.layout, connection.memory)
      state = .allocate(capacity: 1)
      state.initialize(to: RDMALinkState())
      messageBytesMax = connection.queuePairs.map { connection.fabric.ports[$0.rail].messageBytesMax }.min() ?? 4096
      // The payload, in as many pieces as it takes, and the header. A whole segment has to fit a send queue.
      requestsMax = (connection.layout.segmentBytesMax + messageBytesMax - 1) / messageBytesMax + 1
      requests = .allocate(capacity: requestsMax)
      requests.initialize(repeating: ibv_send_wr(), count: requestsMax)
      pieces = .allocate(capacity: requestsMax + 1)
      pieces.initialize(repeating: ibv_sge(), count: requestsMax + 1)
      found = .allocate(capacity: Self.foundMax)
      found.initialize(repeating: ibv_wc(), count: Self.foundMax)
      super.init(
        peer: connection.peer, transport: RDMATransport.kind, segmentBytesMax: connection.layout.segmentBytesMax,
        needsProgress: true,
        composesInPlace: true,
        abilities: InPlaceAbilities(reachesRegisteredMemory: registered != nil, reachesCallersMemory: registered != nil))
    }

    /// The descriptor to sleep on: the completion channel's, or a new epoll that watches all of several channels.
    private static func waitingDescriptor(_ connection: RDMAConnection) throws(FailureReport) -> Int32 {
      let channels = connection.completions.map(\.channel.pointee.fd)
      if channels.count == 1 { return channels[0] }
      let epoll = try systemCall("epoll_create1", advice: "Raise the limit of open files (ulimit -n)") { tutti_epoll() }
      for channel in channels { tutti_epoll_watch(epoll, channel, UInt32(POLLIN), 0) }
      return epoll
    }

    deinit {
      close()
      lanes.deallocate()
      arrivals.deallocate()
      grants.deallocate()
      state.deallocate()
      pairs.deallocate()
      queues.deallocate()
      requests.deallocate()
      pieces.deallocate()
      found.deallocate()
    }

    @inline(__always) func slotIndex(_ sequence: UInt64) -> Int { RDMALayout.slotIndex(sequence) }
    @inline(__always) func pairIndex(_ sequence: UInt64) -> Int {
      pairCount == 1 ? 0 : Int(truncatingIfNeeded: sequence % UInt64(pairCount))
    }

    // MARK: The data path

    package override func canSend(_ lane: Int) -> Bool {
      let sent = lanes[lane].sent
      if sent &- lanes[lane].acknowledged >= UInt64(Lane.credit) || status.pointee.failed { return false }
      if state.pointee.suspectSince != 0 { return false }
      // While a source is still read, its slot's header must stay.
      if lanes[lane].held & (1 << UInt32(slotIndex(sent + 1))) != 0 { return false }
      return hasRoom(pairIndex(sent + 1), requestsRoom)
    }

    /// The entries of a send queue that a segment may take, and those that are kept.
    private var requestsRoom: UInt32 { UInt32(truncatingIfNeeded: requestsMax) + Self.ownRequests }

    package override func send(
      _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
    ) -> UInt64 {
      let sequence = lanes[lane].sent + 1
      let pair = pairIndex(sequence)
      if RDMAHeader.byteCount + bytes <= pairs[pair].inlineBytesMax {
        return post(lane, call, count, UInt(bitPattern: source), 0, bytes, .inlined)
      }
      let staged = outbox(lane, sequence)
      memcpy(staged, source, bytes)
      state.pointee.copiedBytes &+= UInt64(bytes)
      return post(lane, call, count, UInt(bitPattern: staged), pairs[pair].localKey, bytes, .staged)
    }

    package override func released(_ lane: Int) -> UInt64 {
      let held = lanes[lane].held
      let sent = lanes[lane].sent
      if held == 0 { return sent }
      var sequence = sent &- min(sent, UInt64(Lane.credit))
      while sequence < sent, held & (1 << UInt32(slotIndex(sequence + 1))) == 0 { sequence += 1 }
      return sequence
    }

    package override func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
      precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
      return outbox(lane, lanes[lane].sent + 1)
    }

    package override func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
      let sequence = lanes[lane].sent + 1
      let pair = pairIndex(sequence)
      let isInline = RDMAHeader.byteCount + bytes <= pairs[pair].inlineBytesMax
      return post(
        lane, call, count, UInt(bitPattern: outbox(lane, sequence)), pairs[pair].localKey, bytes,
        isInline ? .inlined : .staged)
    }

    package override func sendRegistered(
      _ lane: Int, _ call: CallSignature, _ count: UInt64, _ offset: UInt64, _ bytes: Int
    ) -> UInt64 {
      let address = registered.unsafelyUnwrapped.address(of: offset)
      let rail = pairs[pairIndex(lanes[lane].sent + 1)].rail
      guard let key = connection.fabric.key(of: address, bytes: bytes, rail: rail) else {
        // Not all of it is registered.
        return send(lane, call, count, UnsafeRawPointer(bitPattern: address).unsafelyUnwrapped, bytes, copied: true)
      }
      state.pointee.uncopiedBytes &+= UInt64(bytes)
      return post(lane, call, count, address, key.local, bytes, .held)
    }

    package override func awaitsGrant(_ lane: Int, _ bytes: Int) -> Bool {
      let sequence = lanes[lane].sent + 1
      if grants.isAnswered(lane, sequence) { return false }
      if grants.ask(lane, sequence) {
        state.pointee.questionDue |= 1 << UInt32(lane)
        flush()
      }
      return !status.pointee.failed
    }

    package override func grant(_ lane: Int, _ ahead: Int, _ offset: UInt64, _ bytes: Int) {
      let sequence = lanes[lane].consumed + 1 + UInt64(ahead)
      let address = registered.unsafelyUnwrapped.address(of: offset)
      guard !status.pointee.failed, grants.mayGrant(lane, sequence), hasRoom(0, 4),
        let key = connection.fabric.key(of: address, bytes: bytes, rail: pairs[pairIndex(sequence)].rail)
      else { return }
      postOwn(IBV_WR_RDMA_WRITE, grants.grant(lane, sequence, UInt64(address), bytes, key: key.remote), nil)
      if status.pointee.asked & (1 << UInt32(lane)) != 0 && grants.peerAsked(lane, about: sequence) { answer(lane) }
    }

    package override func declineGrants(_ lane: Int, _ segments: UInt64) {
      if grants.decline(lane, through: lanes[lane].consumed + segments) { answer(lane) }
    }

    package override func progress() {
      if status.pointee.failed { return }
      poll()
      if state.pointee.creditDue | state.pointee.questionDue | state.pointee.answerDue != 0 { flush() }
      noticeNews()
      if state.pointee.suspectSince != 0 { resolveSuspicion() }
    }

    package override func peek(_ lane: Int) -> UnsafePointer<Arrival>? {
      let slot = slotIndex(lanes[lane].consumed + 1)
      if lanes[lane].arrived & (1 << UInt32(slot)) == 0 { return nil }
      return UnsafePointer(arrivals + (lane * Lane.credit + slot))
    }

    package override func consume(_ lane: Int) {
      let sequence = lanes[lane].consumed + 1
      let bit: UInt32 = 1 << UInt32(slotIndex(sequence))
      precondition(lanes[lane].arrived & bit != 0, "nothing to consume")
      lanes[lane].arrived &= ~bit
      lanes[lane].consumed = sequence
      if sequence &- lanes[lane].announced >= UInt64(Lane.credit / 2) { state.pointee.creditDue |= 1 << UInt32(lane) }
    }

    // MARK: Waiting

    package override var descriptor: Int32 { state.pointee.isClosed ? -1 : waiting }

    package override var maximumPark: UInt64 { state.pointee.suspectSince == 0 ? .max : 5_000_000 }

    package override func prepareToPark() -> Bool {
      if status.pointee.failed { return true }
      // The last pass may have taken completions for a step that it had already gone past.
      if state.pointee.hasTaken {
        state.pointee.hasTaken = false
        return false
      }
      takeQueueEvents()
      // The end of this rank's own sends wakes nobody, unless somebody may be waiting for it. Errors always wake.
      let solicitedOnly: Int32 = waitsForOwnSends ? 0 : 1
      for index in 0..<queueCount where ibv_req_notify_cq(queues[index], solicitedOnly) != 0 { return false }
      state.pointee.mayHaveEvents = true
      // What came before the queues were armed makes no event.
      if poll() { return false }
      flush()
      probe()
      return !status.pointee.failed
    }

    /// Whether a source is still read, or a send queue is short of room.
    private var waitsForOwnSends: Bool {
      for lane in 0..<Lane.count where lanes[lane].held != 0 { return true }
      for pair in 0..<pairCount where !hasRoom(pair, requestsRoom) { return true }
      return false
    }

    /// Forgets what made the descriptor readable.
    func takeQueueEvents() {
      guard state.pointee.mayHaveEvents else { return }
      for entry in connection.completions {
        var queue: VerbsLibrary.Queue?
        var context: UnsafeMutableRawPointer?
        var count: UInt32 = 0
        while count < 64, connection.fabric.verbs.getQueueEvent(entry.channel, &queue, &context) == 0 { count += 1 }
        if count > 0 { connection.fabric.verbs.acknowledgeQueueEvents(entry.queue, count) }
      }
    }

    // MARK: The end

    package override func startRevoking() {
      guard !state.pointee.isStopped, !state.pointee.isClosed else { return }
      state.pointee.isStopped = true
      if failure == nil {
        fail(
          FailureReport(
            .closed, rank: connection.rank, peer: peer, "rank \(connection.rank) has ended its link to rank \(peer)",
            transport: transport.name))
      }
      connection.stop()
    }

    /// Everything posted comes back, flushed. Until then the device may still be reading.
    package override func hasRevoked(peerIsLost: Bool) -> Bool {
      if state.pointee.isClosed || !state.pointee.isStopped { return true }
      takeCompletions()
      return isDrained
    }

    /// Whether no send is outstanding.
    var isDrained: Bool {
      for index in 0..<pairCount where pairs[index].posted != pairs[index].retired { return false }
      return true
    }

    package override var undelivered: Int {
      (0..<pairCount).reduce(0) { $0 + Int(pairs[$1].posted &- pairs[$1].retired) }
    }

    /// Whether nothing more can be done for what was sent.
    private var isBeyondHelp: Bool {
      state.pointee.isClosed || !connection.isOwn || status.pointee.failed || state.pointee.suspectSince != 0
        || state.pointee.peerHasClosed
    }

    package override func drain() -> Bool {
      if isBeyondHelp { return true }
      // The peer must learn of all that was consumed: it may be waiting for that.
      for lane in 0..<Lane.count where lanes[lane].announced != lanes[lane].consumed {
        state.pointee.creditDue |= 1 << UInt32(lane)
      }
      if isDrained && state.pointee.creditDue == 0 { return true }
      moveOn()
      return isDrained && state.pointee.creditDue == 0 || isBeyondHelp
    }

    /// Everything this rank sent must arrive before the peer hears that no more will come.
    package override func windDown() -> Bool {
      if isBeyondHelp { return true }
      if !state.pointee.hasSaidGoodbye {
        guard drain() else { return false }
        if isBeyondHelp { return true }
        state.pointee.hasSaidGoodbye = true
        postImmediate(RDMAImmediate(.goodbye, lane: 0, number: 0), isSignalled: true)
      }
      moveOn()
      return isDrained || isBeyondHelp
    }

    private func moveOn() {
      poll()
      flush()
      signalTails()
      noticeNews()
    }

    package override func startClosing() {
      if state.pointee.isClosed { return }
      state.pointee.isClosed = true
      // In a forked child the queues are the parent's.
      guard connection.isOwn else { return }
      takeQueueEvents()
      epoll = nil
      connection.startClosing()
    }

    package override func hasClosed() -> Bool { connection.hasClosed }
  }
#endif
