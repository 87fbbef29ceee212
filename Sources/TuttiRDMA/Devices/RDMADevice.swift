import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// An opened device and its protection domain.
  final class RDMADevice: @unchecked Sendable {
    // @unchecked: everything is set in `init`; verbs calls are thread-safe; the end is an atomic.

    let name: String
    let verbs: VerbsLibrary
    let context: VerbsLibrary.Context
    let domain: VerbsLibrary.Domain
    /// Whether it failed or was removed.
    let isGone = Atomic<Bool>(false)
    private let generation = tutti_current_fork_generation()

    init(_ name: String, _ verbs: VerbsLibrary, rank: Int) throws(FailureReport) {
      self.name = name
      self.verbs = verbs
      context = try Self.open(name, verbs, rank)
      VerbsLibrary.makeNonBlocking(context.pointee.async_fd)
      guard let domain = verbs.allocateDomain(context) else {
        let code = errno
        _ = verbs.closeDevice(context)
        throw RDMAErrorText.resource(call: "ibv_alloc_pd", error: code, device: name, rank: rank)
      }
      self.domain = domain
    }

    private static func open(
      _ name: String, _ verbs: VerbsLibrary, _ rank: Int
    ) throws(FailureReport) -> VerbsLibrary.Context {
      var count: Int32 = 0
      guard let list = verbs.getDeviceList(&count) else {
        throw FailureReport(
          .transport, rank: rank, "the RDMA devices cannot be listed (ibv_get_device_list)",
          advice: "Look at collbench list for the state of the devices, and see docs/RDMA.md", transport: "rdma",
          systemError: errno)
      }
      defer { verbs.freeDeviceList(list) }
      for index in 0..<Int(count) {
        guard let device = list[index], let text = verbs.getDeviceName(device), String(cString: text) == name else {
          continue
        }
        if let context = verbs.openDevice(device) { return context }
        throw RDMAErrorText.resource(call: "ibv_open_device", error: errno, device: name, rank: rank)
      }
      throw FailureReport(
        .transport, rank: rank, "libibverbs finds no RDMA device \(name), though the kernel has it",
        advice: "Install the provider of that device (ibverbs-providers), and pass /dev/infiniband into containers",
        transport: "rdma")
    }

    deinit {
      if generation != tutti_current_fork_generation() { return }
      _ = verbs.freeDomain(domain)
      _ = verbs.closeDevice(context)
    }

    func register(
      _ memory: UnsafeMutableRawPointer, _ bytes: Int, rank: Int
    ) throws(FailureReport) -> VerbsLibrary.Region {
      let access = IBV_ACCESS_LOCAL_WRITE.rawValue | IBV_ACCESS_REMOTE_WRITE.rawValue
      if let region = verbs.registerMemory(domain, memory, bytes, Int32(access)) { return region }
      throw RDMAErrorText.resource(call: "ibv_reg_mr", error: errno, bytes: bytes, device: name, rank: rank)
    }

    /// Handles the device's events; returns whether any of them matters to links.
    func takeEvents(ports: [RDMAPort]) -> Bool {
      var hasNews = false
      var event = ibv_async_event()
      // The loop is bounded, although no device is known that never stops.
      for _ in 0..<256 {
        guard verbs.getAsyncEvent(context, &event) == 0 else {
          if errno == EAGAIN || errno == EINTR { break }
          // The kernel has taken the device from its users.
          isGone.store(true, ordering: .releasing)
          return true
        }
        if take(event, ports) { hasNews = true }
        verbs.acknowledgeAsyncEvent(&event)
      }
      return hasNews
    }

    private func take(_ event: ibv_async_event, _ ports: [RDMAPort]) -> Bool {
      let own = ports.filter { $0.device === self }
      switch event.event_type {
      case IBV_EVENT_DEVICE_FATAL:
        isGone.store(true, ordering: .releasing)
        return true
      case IBV_EVENT_PORT_ERR:
        for port in own where Int32(port.rail.port) == event.element.port_num {
          port.downSince.store(monotonicNanoseconds(), ordering: .releasing)
        }
        return true
      case IBV_EVENT_PORT_ACTIVE:
        for port in own where Int32(port.rail.port) == event.element.port_num {
          port.downSince.store(0, ordering: .releasing)
        }
        return false
      case IBV_EVENT_GID_CHANGE:
        // A device whose driver is being removed says so by this, too.
        for port in own where port.isRemoved() {
          isGone.store(true, ordering: .releasing)
          return true
        }
        return false
      default:
        // For other events of queue pairs, completions tell.
        return event.event_type == IBV_EVENT_QP_FATAL || event.event_type == IBV_EVENT_QP_ACCESS_ERR
          || event.event_type == IBV_EVENT_CQ_ERR
      }
    }
  }

  /// A rail's port, and what is needed to make its queue pairs.
  final class RDMAPort: @unchecked Sendable {
    // @unchecked: set in `init`, but for an atomic.

    let rail: Rail
    let device: RDMADevice
    let mtu: ibv_mtu
    /// The number of bytes of the longest message.
    let messageBytesMax: Int
    /// When it went down; 0 while it is up.
    let downSince = Atomic<UInt64>(0)

    init(rail: Rail, device: RDMADevice, settings: RDMASettings, rank: Int) throws(FailureReport) {
      self.rail = rail
      self.device = device
      var attributes = ibv_port_attr()
      let code = device.verbs.queryPort(device.context, rail.port, &attributes)
      guard code == 0 else {
        throw FailureReport(
          .transport, rank: rank, "port \(rail.port) of \(rail.device) does not answer (ibv_query_port)",
          advice: "See the kernel's log (dmesg) for \(rail.device)", transport: "rdma", systemError: code)
      }
      let wanted = settings.mtu.map { UInt32($0.trailingZeroBitCount - 7) } ?? attributes.active_mtu.rawValue
      mtu = ibv_mtu(min(wanted, attributes.active_mtu.rawValue))
      messageBytesMax = min(settings.messageBytesMax ?? Int.max, max(4096, Int(attributes.max_msg_sz)), 1 << 30)
    }

    /// Asks the device why nothing gets through this port now; nil when something may.
    func presentFailure(rank: Int, peer: Int) -> FailureReport? {
      var attributes = ibv_port_attr()
      let code = query(&attributes)
      if Self.meansRemoval(code) { device.isGone.store(true, ordering: .releasing) }
      if let report = failure(rank: rank, peer: peer) { return report }
      return code == 0 && attributes.state != IBV_PORT_ACTIVE ? downFailure(rank: rank, peer: peer) : nil
    }

    private func downFailure(rank: Int, peer: Int) -> FailureReport {
      RDMAErrorText.event(type: IBV_EVENT_PORT_ERR.rawValue, device: rail.device, port: rail.port)
        .failure(rank: rank, peer: peer)
    }

    func isRemoved() -> Bool {
      var attributes = ibv_port_attr()
      return Self.meansRemoval(query(&attributes))
    }

    private func query(_ attributes: inout ibv_port_attr) -> Int32 {
      device.verbs.queryPort(device.context, rail.port, &attributes)
    }

    private static func meansRemoval(_ code: Int32) -> Bool { code == ENODEV || code == EIO }

    /// How long a port may be down before links over it are given up. Plugging a cable in again takes longer.
    static let downNanosecondsMax: UInt64 = 500_000_000

    /// Why links over this port cannot go on; nil while they can.
    func failure(rank: Int, peer: Int) -> FailureReport? {
      if device.isGone.load(ordering: .acquiring) {
        return RDMAErrorText.event(type: IBV_EVENT_DEVICE_FATAL.rawValue, device: rail.device).failure(
          rank: rank, peer: peer)
      }
      let down = downSince.load(ordering: .acquiring)
      guard down != 0, monotonicNanoseconds() &- down > Self.downNanosecondsMax else { return nil }
      return downFailure(rank: rank, peer: peer)
    }
  }
#endif
