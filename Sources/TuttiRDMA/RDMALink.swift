#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// A link between two ranks over RDMA: the sender writes each segment to where it belongs at the receiver, and its immediate data says so.
  ///
  /// A small segment goes inline; one of ordinary memory through the outbox to a slot of the peer's inbox; one in registered memory from where
  /// it lies; and any of them straight to its destination, where the receiver has granted that in registered memory. Segment k of a lane goes
  /// over queue pair k mod count. `docs/RDMA.md` has a picture. Nothing a peer writes is trusted as an index or a length without a check.
  ///
  /// Files: this one holds the state and the end; `+Send`, `+Receive`, `+Completions` the data path.
  package final class RDMALink: Link {
    let connection: RDMAConnection
    let layout: RDMALayout
    let memory: UnsafeMutableRawPointer
    /// This rank's registered memory, for the addresses of its offsets.
    let registered: RegisteredMemory?
    let lanes: UnsafeMutablePointer<RDMALane>
    /// Of each lane's ``Lane/credit`` slots: what has arrived, and what was granted to the peer.
    let arrivals: UnsafeMutablePointer<Arrival>
    let grants: UnsafeMutablePointer<RDMAGrant>
    let state: UnsafeMutablePointer<RDMALinkState>
    /// One for each queue pair.
    let pairs: UnsafeMutablePointer<RDMAPair>
    let pairCount: Int
    /// The completion queues.
    let queues: UnsafeMutablePointer<VerbsLibrary.Queue>
    let queueCount: Int
    /// Requests being put together, and completions being looked at.
    let requests: UnsafeMutablePointer<ibv_send_wr>
    let pieces: UnsafeMutablePointer<ibv_sge>
    let found: UnsafeMutablePointer<ibv_wc>
    /// What a waiter sleeps on: the completion channel, or an epoll of several.
    private let waiting: Int32
    private let ownsWaiting: Bool

    static let foundMax = 16
    /// Bytes of the longest message, and the requests that a segment takes then.
    let messageBytesMax: Int
    let requestsMax: Int

    /// Payload that was copied into the outbox, and that went without; for tests and for people.
    package var copiedBytes: UInt64 { state.pointee.copiedBytes }
    package var uncopiedBytes: UInt64 { state.pointee.uncopiedBytes }
    /// Payload that came straight to its destination.
    package var placedBytes: UInt64 { state.pointee.placedBytes }

    /// - Parameter connection: Established; owned from here on.
    init(_ connection: RDMAConnection, registered: RegisteredMemory?) throws(FailureReport) {
      self.connection = connection
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
      grants = .allocate(capacity: slots)
      grants.initialize(repeating: RDMAGrant(), count: slots)
      state = .allocate(capacity: 1)
      state.initialize(to: RDMALinkState())
      messageBytesMax = connection.queuePairs.map { connection.fabric.ports[$0.rail].messageBytesMax }.min() ?? 4096
      // The payload, in as many pieces as it takes, and the header.
      requestsMax = (connection.layout.segmentBytesMax + messageBytesMax - 1) / messageBytesMax + 1
      requests = .allocate(capacity: requestsMax)
      requests.initialize(repeating: ibv_send_wr(), count: requestsMax)
      pieces = .allocate(capacity: requestsMax + 1)
      pieces.initialize(repeating: ibv_sge(), count: requestsMax + 1)
      found = .allocate(capacity: Self.foundMax)
      found.initialize(repeating: ibv_wc(), count: Self.foundMax)
      ownsWaiting = queueCount > 1
      waiting = try Self.waitingDescriptor(connection)
      super.init(
        peer: connection.peer, transport: .rdma, segmentBytesMax: connection.layout.segmentBytesMax, needsProgress: true,
        composesInPlace: true, reachesRegisteredMemory: registered != nil, reachesCallersMemory: registered != nil)
    }

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

    @inline(__always) func slotIndex(_ sequence: UInt64) -> Int { Int((sequence &- 1) & UInt64(Lane.credit - 1)) }
    @inline(__always) func pairIndex(_ sequence: UInt64) -> Int {
      pairCount == 1 ? 0 : Int(truncatingIfNeeded: sequence % UInt64(pairCount))
    }

    // MARK: Waiting

    package override var descriptor: Int32 { state.pointee.isClosed ? -1 : waiting }

    package override func prepareToPark() -> Bool {
      if status.pointee.failed { return true }
      takeQueueEvents()
      for index in 0..<queueCount where ibv_req_notify_cq(queues[index], 0) != 0 { return false }
      state.pointee.isArmed = true
      // What came before the queues were armed makes no event.
      if poll() { return false }
      flush()
      probe()
      return !status.pointee.failed
    }

    /// Forgets what made the descriptor readable.
    func takeQueueEvents() {
      guard state.pointee.isArmed else { return }
      state.pointee.isArmed = false
      for entry in connection.completions {
        var queue: VerbsLibrary.Queue?
        var context: UnsafeMutableRawPointer?
        var count: UInt32 = 0
        while count < 64, connection.fabric.verbs.getQueueEvent(entry.channel, &queue, &context) == 0 { count += 1 }
        if count > 0 { connection.fabric.verbs.acknowledgeQueueEvents(entry.queue, count) }
      }
    }

    // MARK: The end

    /// Waits, a bounded time, for posted sends to be over.
    static let drainNanosecondsMax: UInt64 = 1_000_000_000
    private static let revokeNanosecondsMax: UInt64 = 100_000_000

    package override func revoke(peerIsLost: Bool) {
      guard !state.pointee.isStopped, !state.pointee.isClosed else { return }
      state.pointee.isStopped = true
      if failure == nil {
        fail(
          FailureReport(
            .closed, rank: connection.rank, peer: peer, "rank \(connection.rank) has ended its link to rank \(peer)",
            transport: transport.name))
      }
      connection.stop()
      // Everything posted comes back, flushed; until then the device may still be reading.
      let end = monotonicNanoseconds() + Self.revokeNanosecondsMax
      while !isDrained, monotonicNanoseconds() < end {
        poll()
        sched_yield()
      }
    }

    package override func close() {
      if state.pointee.isClosed { return }
      // In a forked child the queues are the parent's.
      if !status.pointee.failed { sayGoodbye() }
      takeQueueEvents()
      state.pointee.isClosed = true
      if ownsWaiting { tutti_close(waiting) }
      connection.close()
    }

    /// Whether no send is outstanding.
    var isDrained: Bool {
      for index in 0..<pairCount where pairs[index].posted != pairs[index].retired { return false }
      return true
    }

    /// Everything this rank sent is to arrive before the peer hears that no more will come.
    private func sayGoodbye() {
      let end = monotonicNanoseconds() + Self.drainNanosecondsMax
      signalTails()
      wait(until: end) { isDrained && state.pointee.creditDue == 0 }
      guard isDrained, !state.pointee.peerHasClosed, !status.pointee.failed else { return }
      postImmediate(RDMAImmediate(.goodbye, lane: 0, number: 0), isSignalled: true)
      wait(until: end) { isDrained }
    }

    private func wait(until end: UInt64, _ isDone: () -> Bool) {
      while !isDone(), !status.pointee.failed, !state.pointee.peerHasClosed, monotonicNanoseconds() < end {
        poll()
        flush()
        noticeNews()
        sched_yield()
      }
    }
  }
#endif
