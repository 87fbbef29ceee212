import TuttiSystem

#if RDMA
  import CTuttiVerbs
  import Glibc
  import TuttiTransport

  /// The functions of libibverbs and librdmacm that this module calls. They are looked up at first use, so that a program
  /// starts on hosts without the libraries. The functions that post and poll are inline in the headers, and jump straight to
  /// the device's provider.
  struct VerbsLibrary: Sendable {
    typealias Context = UnsafeMutablePointer<ibv_context>
    typealias Domain = UnsafeMutablePointer<ibv_pd>
    typealias Region = UnsafeMutablePointer<ibv_mr>
    typealias Channel = UnsafeMutablePointer<ibv_comp_channel>
    typealias Queue = UnsafeMutablePointer<ibv_cq>
    typealias QueuePair = UnsafeMutablePointer<ibv_qp>
    typealias ID = UnsafeMutablePointer<rdma_cm_id>
    typealias EventChannel = UnsafeMutablePointer<rdma_event_channel>
    typealias Event = UnsafeMutablePointer<rdma_cm_event>

    let getDeviceList:
      @convention(c) (UnsafeMutablePointer<Int32>?) -> UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>?
    let freeDeviceList: @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>?) -> Void
    let getDeviceName: @convention(c) (UnsafeMutablePointer<ibv_device>?) -> UnsafePointer<CChar>?
    let openDevice: @convention(c) (UnsafeMutablePointer<ibv_device>?) -> Context?
    let closeDevice: @convention(c) (Context?) -> Int32
    /// Fills the part of the attributes that the first version of the library had.
    let queryPort: @convention(c) (Context?, UInt8, UnsafeMutablePointer<ibv_port_attr>?) -> Int32
    let allocateDomain: @convention(c) (Context?) -> Domain?
    let freeDomain: @convention(c) (Domain?) -> Int32
    let registerMemory: @convention(c) (Domain?, UnsafeMutableRawPointer?, Int, Int32) -> Region?
    let deregisterMemory: @convention(c) (Region?) -> Int32
    let createChannel: @convention(c) (Context?) -> Channel?
    let destroyChannel: @convention(c) (Channel?) -> Int32
    let createQueue: @convention(c) (Context?, Int32, UnsafeMutableRawPointer?, Channel?, Int32) -> Queue?
    let destroyQueue: @convention(c) (Queue?) -> Int32
    let getQueueEvent:
      @convention(c) (Channel?, UnsafeMutablePointer<Queue?>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> Int32
    let acknowledgeQueueEvents: @convention(c) (Queue?, UInt32) -> Void
    let createQueuePair: @convention(c) (Domain?, UnsafeMutablePointer<ibv_qp_init_attr>?) -> QueuePair?
    let modifyQueuePair: @convention(c) (QueuePair?, UnsafeMutablePointer<ibv_qp_attr>?, Int32) -> Int32
    let destroyQueuePair: @convention(c) (QueuePair?) -> Int32
    let getAsyncEvent: @convention(c) (Context?, UnsafeMutablePointer<ibv_async_event>?) -> Int32
    let acknowledgeAsyncEvent: @convention(c) (UnsafeMutablePointer<ibv_async_event>?) -> Void

    let createEventChannel: @convention(c) () -> EventChannel?
    let destroyEventChannel: @convention(c) (EventChannel?) -> Void
    let createID:
      @convention(c) (EventChannel?, UnsafeMutablePointer<ID?>?, UnsafeMutableRawPointer?, rdma_port_space) -> Int32
    let destroyID: @convention(c) (ID?) -> Int32
    let bindAddress: @convention(c) (ID?, UnsafeMutablePointer<sockaddr>?) -> Int32
    let listen: @convention(c) (ID?, Int32) -> Int32
    let getSourcePort: @convention(c) (ID?) -> UInt16
    let resolveAddress:
      @convention(c) (ID?, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<sockaddr>?, Int32) -> Int32
    let resolveRoute: @convention(c) (ID?, Int32) -> Int32
    let connect: @convention(c) (ID?, UnsafeMutablePointer<rdma_conn_param>?) -> Int32
    let establish: @convention(c) (ID?) -> Int32
    let accept: @convention(c) (ID?, UnsafeMutablePointer<rdma_conn_param>?) -> Int32
    let reject: @convention(c) (ID?, UnsafeRawPointer?, UInt8) -> Int32
    let disconnect: @convention(c) (ID?) -> Int32
    let migrate: @convention(c) (ID?, EventChannel?) -> Int32
    let queuePairAttributes: @convention(c) (ID?, UnsafeMutablePointer<ibv_qp_attr>?, UnsafeMutablePointer<Int32>?) -> Int32
    let setOption: @convention(c) (ID?, Int32, Int32, UnsafeMutableRawPointer?, Int) -> Int32
    let getEvent: @convention(c) (EventChannel?, UnsafeMutablePointer<Event?>?) -> Int32
    let acknowledgeEvent: @convention(c) (Event?) -> Int32

    /// The libraries, or why they cannot be opened. They stay open for the life of the process.
    private static let loaded: Result<VerbsLibrary, FailureReport> = {
      do throws(FailureReport) { return .success(try VerbsLibrary()) } catch { return .failure(error) }
    }()

    static func load() throws(FailureReport) -> VerbsLibrary { try loaded.get() }

    private init() throws(FailureReport) {
      let verbs = try Self.open("libibverbs.so.1")
      let manager = try Self.open("librdmacm.so.1")
      getDeviceList = try Self.find(verbs, "ibv_get_device_list")
      freeDeviceList = try Self.find(verbs, "ibv_free_device_list")
      getDeviceName = try Self.find(verbs, "ibv_get_device_name")
      openDevice = try Self.find(verbs, "ibv_open_device")
      closeDevice = try Self.find(verbs, "ibv_close_device")
      queryPort = try Self.find(verbs, "ibv_query_port")
      allocateDomain = try Self.find(verbs, "ibv_alloc_pd")
      freeDomain = try Self.find(verbs, "ibv_dealloc_pd")
      registerMemory = try Self.find(verbs, "ibv_reg_mr")
      deregisterMemory = try Self.find(verbs, "ibv_dereg_mr")
      createChannel = try Self.find(verbs, "ibv_create_comp_channel")
      destroyChannel = try Self.find(verbs, "ibv_destroy_comp_channel")
      createQueue = try Self.find(verbs, "ibv_create_cq")
      destroyQueue = try Self.find(verbs, "ibv_destroy_cq")
      getQueueEvent = try Self.find(verbs, "ibv_get_cq_event")
      acknowledgeQueueEvents = try Self.find(verbs, "ibv_ack_cq_events")
      createQueuePair = try Self.find(verbs, "ibv_create_qp")
      modifyQueuePair = try Self.find(verbs, "ibv_modify_qp")
      destroyQueuePair = try Self.find(verbs, "ibv_destroy_qp")
      getAsyncEvent = try Self.find(verbs, "ibv_get_async_event")
      acknowledgeAsyncEvent = try Self.find(verbs, "ibv_ack_async_event")
      createEventChannel = try Self.find(manager, "rdma_create_event_channel")
      destroyEventChannel = try Self.find(manager, "rdma_destroy_event_channel")
      createID = try Self.find(manager, "rdma_create_id")
      destroyID = try Self.find(manager, "rdma_destroy_id")
      bindAddress = try Self.find(manager, "rdma_bind_addr")
      listen = try Self.find(manager, "rdma_listen")
      getSourcePort = try Self.find(manager, "rdma_get_src_port")
      resolveAddress = try Self.find(manager, "rdma_resolve_addr")
      resolveRoute = try Self.find(manager, "rdma_resolve_route")
      connect = try Self.find(manager, "rdma_connect")
      establish = try Self.find(manager, "rdma_establish")
      accept = try Self.find(manager, "rdma_accept")
      reject = try Self.find(manager, "rdma_reject")
      disconnect = try Self.find(manager, "rdma_disconnect")
      migrate = try Self.find(manager, "rdma_migrate_id")
      queuePairAttributes = try Self.find(manager, "rdma_init_qp_attr")
      setOption = try Self.find(manager, "rdma_set_option")
      getEvent = try Self.find(manager, "rdma_get_cm_event")
      acknowledgeEvent = try Self.find(manager, "rdma_ack_cm_event")
      // Kernels before 5.12 do not copy pinned pages for a forked child themselves; later ones need nothing from the
      // library.
      let forkInit: @convention(c) () -> Int32 = try Self.find(verbs, "ibv_fork_init")
      _ = forkInit()
    }

    /// Makes a descriptor that one of the libraries opened non-blocking.
    static func makeNonBlocking(_ descriptor: Int32) {
      _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    private static func open(_ name: String) throws(FailureReport) -> UnsafeMutableRawPointer {
      if let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) { return handle }
      throw FailureReport(
        .configuration, "RDMA needs \(name), which cannot be opened: \(String(cString: dlerror()))",
        advice: "Install libibverbs1, librdmacm1 and ibverbs-providers (rdma-core)", transport: "rdma")
    }

    private static func find<Function>(_ library: UnsafeMutableRawPointer, _ name: String) throws(FailureReport) -> Function
    {
      guard let symbol = dlsym(library, name) else {
        throw FailureReport(
          .configuration, "the RDMA libraries of this host have no \(name)",
          advice: "Install rdma-core 24 or later", transport: "rdma")
      }
      return unsafeBitCast(symbol, to: Function.self)
    }
  }
#endif
