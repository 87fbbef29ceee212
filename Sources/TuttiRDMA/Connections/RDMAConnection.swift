import TuttiSystem

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// What a link is made of: registered memory, a completion queue for each device, queue pairs, and the identifiers under
  /// which the connection manager knows them.
  ///
  /// Whoever connects makes it and gives it to the link, which ends it. Invariant: `close` gives everything up, once, in the
  /// order that verbs require.
  final class RDMAConnection: @unchecked Sendable {
    // @unchecked: one thread at a time: its maker, then the holder of the link's lock. `news` is for the others.

    /// How many work requests a queue pair holds: more than all lanes can have outstanding.
    static let sendDepth: UInt32 = 128
    static let receiveDepth: UInt32 = 128

    let fabric: RDMAFabric
    let rank: Int
    let peer: Int
    let layout: RDMALayout
    let memory: UnsafeMutableRawPointer
    private let regions: [VerbsLibrary.Region]

    /// A device's completion queue and channel.
    struct Completions {
      let device: RDMADevice
      let channel: VerbsLibrary.Channel
      let queue: VerbsLibrary.Queue
    }
    private(set) var completions: [Completions] = []

    struct QueuePair {
      /// Which of this rank's rails it uses.
      let rail: Int
      let pair: VerbsLibrary.QueuePair
      let inlineBytesMax: Int
      var id: VerbsLibrary.ID?
      /// The longest packet that both ends can take (`enum ibv_mtu`). They have to agree, or the receiver takes long packets
      /// for broken ones.
      var mtu: UInt32
      /// The key of the peer's memory over this queue pair.
      var remoteKey: UInt32 = 0
    }
    /// By their number on the link.
    var queuePairs: [QueuePair] = []
    /// How many queue pairs there will be.
    var queuePairsExpected = 0
    /// The channel that the identifiers are on, which has to outlive them.
    var events: RDMAEvents?
    /// Where the peer's memory begins, in its process.
    var remoteBase: UInt64 = 0

    /// News from the connection manager, for whoever polls the link: see ``News``.
    let news = Atomic<UInt32>(0)
    enum News {
      static let disconnected: UInt32 = 1
      static let deviceRemoved: UInt32 = 2
    }
    private var isClosed = false
    private let generation = tutti_current_fork_generation()

    init(fabric: RDMAFabric, rank: Int, peer: Int, layout: RDMALayout) throws(FailureReport) {
      self.fabric = fabric
      self.rank = rank
      self.peer = peer
      self.layout = layout
      let flags = MAP_PRIVATE | MAP_ANONYMOUS
      guard let mapped = mmap(nil, layout.totalBytes, PROT_READ | PROT_WRITE, flags, -1, 0), mapped != MAP_FAILED else {
        throw FailureReport(
          .resources, rank: rank, peer: peer,
          "cannot reserve \(layout.totalBytes) bytes of memory for the link to rank \(peer)",
          advice: "Raise the limits of address space (ulimit -v) and memory", transport: "rdma", systemError: errno)
      }
      memory = mapped
      // A forked child must not share these pages: the device goes on writing the parent's.
      madvise(mapped, layout.totalBytes, MADV_DONTFORK)
      madvise(mapped, layout.totalBytes, MADV_HUGEPAGE)
      do throws(FailureReport) {
        regions = try fabric.makeRegions(mapped, layout.totalBytes)
      } catch {
        munmap(mapped, layout.totalBytes)
        throw error
      }
    }

    deinit { close() }

    func localKey(rail: Int) -> UInt32 { regions[rail].pointee.lkey }
    func remoteKeyOfOwnMemory(rail: Int) -> UInt32 { regions[rail].pointee.rkey }

    // MARK: Queue pairs

    /// Makes the next queue pair, over one of this rank's rails, ready to receive what may come once the peer knows it.
    func addQueuePair(rail: Int) throws(FailureReport) {
      let port = fabric.ports[rail]
      let queue = try completions(of: port.device).queue
      var last: Int32 = 0
      // The more goes inline, the fewer reads a device needs. How much it can take is found by trying.
      for inlineBytes: UInt32 in [512, 256, 128, 64, 0] {
        var attributes = ibv_qp_init_attr()
        attributes.send_cq = queue
        attributes.recv_cq = queue
        attributes.qp_type = IBV_QPT_RC
        attributes.cap.max_send_wr = Self.sendDepth
        attributes.cap.max_recv_wr = Self.receiveDepth
        attributes.cap.max_send_sge = 2
        attributes.cap.max_recv_sge = 1
        attributes.cap.max_inline_data = inlineBytes
        if let pair = fabric.verbs.createQueuePair(port.device.domain, &attributes) {
          queuePairs.append(QueuePair(rail: rail, pair: pair, inlineBytesMax: Int(inlineBytes), mtu: port.mtu.rawValue))
          return
        }
        last = errno
        if last != EINVAL { break }
      }
      throw RDMAErrorText.resource(call: "ibv_create_qp", error: last, device: port.device.name, rank: rank, peer: peer)
    }

    private func completions(of device: RDMADevice) throws(FailureReport) -> Completions {
      if let known = completions.first(where: { $0.device === device }) { return known }
      guard let channel = fabric.verbs.createChannel(device.context) else {
        throw RDMAErrorText.resource(
          call: "ibv_create_comp_channel", error: errno, device: device.name, rank: rank, peer: peer)
      }
      VerbsLibrary.makeNonBlocking(channel.pointee.fd)
      // All queue pairs of the link may be on this device.
      let depth = Int32(RDMALayout.queuePairsMax) * Int32(Self.sendDepth + Self.receiveDepth)
      guard let queue = fabric.verbs.createQueue(device.context, depth, nil, channel, 0) else {
        let code = errno
        _ = fabric.verbs.destroyChannel(channel)
        throw RDMAErrorText.resource(call: "ibv_create_cq", error: code, device: device.name, rank: rank, peer: peer)
      }
      let made = Completions(device: device, channel: channel, queue: queue)
      completions.append(made)
      return made
    }

    /// Posts receives for everything the peer may send before it hears of this rank. They hold no data, because data is
    /// written.
    func postReceives(_ index: Int, _ count: Int) -> Int32 {
      withUnsafeTemporaryAllocation(of: ibv_recv_wr.self, capacity: count) { requests in
        for number in 0..<count {
          (requests.baseAddress.unsafelyUnwrapped + number).initialize(to: ibv_recv_wr())
          requests[number].wr_id = RDMALink.RequestID.receive(queuePair: index)
          requests[number].next = number + 1 < count ? requests.baseAddress.unsafelyUnwrapped + (number + 1) : nil
        }
        var bad: UnsafeMutablePointer<ibv_recv_wr>?
        return ibv_post_recv(queuePairs[index].pair, requests.baseAddress, &bad)
      }
    }

    /// Moves a queue pair to a state, with the connection manager's attributes for it and this fabric's settings.
    func move(_ index: Int, to state: ibv_qp_state, isAccepting: Bool = false) throws(FailureReport) {
      let entry = queuePairs[index]
      let settings = fabric.settings
      var attributes = ibv_qp_attr()
      attributes.qp_state = state
      var mask: Int32 = 0
      guard fabric.verbs.queuePairAttributes(entry.id, &attributes, &mask) == 0 else {
        throw failure("rdma_init_qp_attr", errno)
      }
      if state == IBV_QPS_INIT {
        attributes.qp_access_flags = IBV_ACCESS_LOCAL_WRITE.rawValue | IBV_ACCESS_REMOTE_WRITE.rawValue
        mask |= Int32(IBV_QP_ACCESS_FLAGS.rawValue)
      } else if state == IBV_QPS_RTR {
        // The accepting end knows the path's limit and states it in its answer; the connecting end follows.
        if isAccepting { queuePairs[index].mtu = min(queuePairs[index].mtu, attributes.path_mtu.rawValue) }
        attributes.path_mtu = ibv_mtu(queuePairs[index].mtu)
        // 0.64 ms. It counts when a receiver has run out of receives, which the protocol does not let happen.
        attributes.min_rnr_timer = 12
        if let level = settings.serviceLevel { attributes.ah_attr.sl = level }
        if let trafficClass = settings.trafficClass { attributes.ah_attr.grh.traffic_class = trafficClass }
        if let index = settings.gidIndex { attributes.ah_attr.grh.sgid_index = UInt8(truncatingIfNeeded: index) }
      } else if state == IBV_QPS_RTS {
        attributes.timeout = settings.timeout
        attributes.retry_cnt = settings.retryCount
        attributes.rnr_retry = 6
      }
      let code = fabric.verbs.modifyQueuePair(entry.pair, &attributes, mask)
      guard code == 0 else { throw failure("ibv_modify_qp", code) }
    }

    enum Answer { case connect, accept }

    /// Sends the request to connect a queue pair, or accepts one. The private data carries what the peer has to know.
    func answer(_ index: Int, _ answer: Answer, token: RDMAToken? = nil, railNumber: Int = 0) throws(FailureReport) {
      let entry = queuePairs[index]
      let introduction = RDMAIntroduction(
        queuePair: index, queuePairs: queuePairsExpected, rail: railNumber,
        token: token ?? RDMAToken(repeatElement(0, count: RDMAToken.byteCount)), segmentBytesMax: layout.segmentBytesMax,
        mtu: Int(entry.mtu), key: remoteKeyOfOwnMemory(rail: entry.rail), address: UInt64(UInt(bitPattern: memory)))
      let code = introduction.bytes.withUnsafeBytes { bytes in
        var parameters = rdma_conn_param()
        parameters.private_data = bytes.baseAddress
        parameters.private_data_len = UInt8(bytes.count)
        parameters.responder_resources = 1
        parameters.initiator_depth = 1
        parameters.retry_count = fabric.settings.retryCount
        parameters.rnr_retry_count = 6
        parameters.qp_num = entry.pair.pointee.qp_num
        return answer == .connect ? fabric.verbs.connect(entry.id, &parameters) : fabric.verbs.accept(entry.id, &parameters)
      }
      if code != 0 { throw failure(answer == .connect ? "rdma_connect" : "rdma_accept", errno) }
    }

    func failure(_ call: String, _ code: Int32) -> FailureReport {
      FailureReport(
        .transport, rank: rank, peer: peer, "\(call) failed while the link to rank \(peer) was made",
        advice: "Look at the kernel's log, and at collbench list for the state of the devices", transport: "rdma",
        systemError: code)
    }

    // MARK: The end

    /// Stops all traffic: from here on the device reads and writes none of this process's memory for this link, once what
    /// was posted is flushed.
    func stop() {
      for entry in queuePairs {
        var attributes = ibv_qp_attr()
        attributes.qp_state = IBV_QPS_ERR
        _ = fabric.verbs.modifyQueuePair(entry.pair, &attributes, Int32(IBV_QP_STATE.rawValue))
      }
    }

    /// Whether this process made it: in a forked child descriptors and queues are the parent's.
    var isOwn: Bool { generation == tutti_current_fork_generation() }

    /// Wakes who waits for `close` once everything was given up.
    private let closed = WakeWord()

    /// Whether everything was given up.
    var hasClosed: Bool { closed.value != 0 || !isOwn }

    /// Gives everything up on a thread of its own: a driver may block whoever destroys a queue pair until the last of its
    /// packets has left the network card (soft-RoCE does), even though it touches nothing of this process any more.
    func startClosing() {
      do throws(FailureReport) {
        try startDetachedThread("tutti-rdma-end") { [self] in close() }
      } catch { close() }
    }

    /// Closes connections that no link has taken, and waits a bounded time for all of them.
    static func close(_ connections: [RDMAConnection]) {
      for connection in connections { connection.startClosing() }
      let end = monotonicNanoseconds() + 500_000_000
      for connection in connections {
        while !connection.hasClosed {
          let now = monotonicNanoseconds()
          if now >= end { return }
          connection.closed.wait(while: 0, nanoseconds: end - now)
        }
      }
    }

    func close() {
      if isClosed { return }
      isClosed = true
      defer { closed.wake() }
      if !isOwn { return }
      for entry in queuePairs {
        if let id = entry.id {
          _ = fabric.verbs.disconnect(id)
          _ = fabric.verbs.destroyID(id)
        }
        _ = fabric.verbs.destroyQueuePair(entry.pair)
      }
      queuePairs = []
      for entry in completions {
        _ = fabric.verbs.destroyQueue(entry.queue)
        _ = fabric.verbs.destroyChannel(entry.channel)
      }
      completions = []
      for region in Set(regions) { _ = fabric.verbs.deregisterMemory(region) }
      munmap(memory, layout.totalBytes)
    }
  }
#endif
