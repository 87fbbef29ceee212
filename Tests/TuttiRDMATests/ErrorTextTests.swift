import Glibc
import Testing
import TuttiRDMA
import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiVerbs
#endif

/// Every number that verbs and librdmacm may give has a text that fits a screen and says who, what, and what to do.
@Suite struct ErrorTextTests {
  private let rail = Rail(device: "mlx5_10", port: 1, linkLayer: .ethernet, address: [10, 77, 100, 101], prefixLength: 24)
  private let other = Rail(device: "mlx5_11", port: 2, linkLayer: .ethernet, address: [10, 77, 100, 102], prefixLength: 24)
  private var link: RDMAErrorText.Connection { .init(rank: 0, peer: 3, from: rail, to: other) }

  private func completion(_ status: UInt32, _ settings: RDMASettings = RDMASettings()) -> FailureReport {
    RDMAErrorText.completion(status: status, vendorError: 0x81, rank: 0, peer: 3, rail: rail, settings: settings)
  }

  /// Three lines of a screen with 125 columns.
  private func expectReadable(_ failure: FailureReport) {
    #expect(failure.description.count <= 375, "\(failure.description.count): \(failure)")
    #expect(!failure.message.isEmpty && !failure.message.hasSuffix(".") && !failure.advice.hasSuffix("."), "\(failure)")
    #expect(failure.transport == "rdma")
  }

  // MARK: Posting

  @Test("a request that cannot be posted says which call failed, and its errno")
  func posting() {
    for (post, call) in [(RDMAErrorText.Post.send, "ibv_post_send"), (.receive, "ibv_post_recv")] {
      let failure = RDMAErrorText.posting(post, error: ENOMEM, rank: 0, peer: 3)
      expectReadable(failure)
      #expect(failure.systemError == ENOMEM && failure.peer == 3 && failure.message.contains("(\(call))"), "\(failure)")
    }
  }

  // MARK: Completions

  @Test func everyStatusHasItsText() {
    var messages: Set<String> = []
    for status in UInt32(0)...24 {
      let failure = completion(status)
      expectReadable(failure)
      #expect(failure.rank == 0 && failure.peer == 3)
      #expect(!failure.advice.isEmpty && failure.message.contains("vendor error 0x81"))
      #expect(failure.message.contains(status < 24 ? "[IBV_WC_" : "[completion status 24,"))
      #expect(failure.message.contains("mlx5_10 port 1 (10.77.100.101)"))
      messages.insert(failure.message)
    }
    #expect(messages.count == 25)
  }

  @Test func silenceIsComputed() throws {
    let failure = completion(12)
    #expect(failure.code == .peerLost)
    #expect(
      failure.message.hasPrefix("rank 3 did not acknowledge for about 7.5 s (7 tries of 1.1 s) [IBV_WC_RETRY_EXC_ERR"))
    let hasty = completion(12, try RDMASettings.read(["TUTTI_RDMA_TIMEOUT": "1", "TUTTI_RDMA_RETRY_COUNT": "0"]))
    #expect(hasty.message.hasPrefix("rank 3 did not acknowledge for about 8.2 us ["))
    let patient = completion(12, try RDMASettings.read(["TUTTI_RDMA_TIMEOUT": "31"]))
    #expect(patient.message.hasPrefix("rank 3 did not acknowledge for about 1026 min (7 tries of 147 min) ["))
  }

  @Test func aLostPeerIsToldFromALocalError() {
    let lost = (UInt32(0)...23).filter { completion($0).code == .peerLost }
    #expect(lost == [5, 12, 16, 20])
  }

  // MARK: Events

  @Test func everyEventHasItsText() {
    var meanings: Set<String> = []
    for type in UInt32(0)...20 {
      let event = RDMAErrorText.event(type: type, device: "mlx5_10", port: 1)
      #expect(event.meaning.contains("mlx5_10") && event.name.hasPrefix(type < 20 ? "IBV_EVENT_" : "event 20"))
      #expect(event.advice.isEmpty == (event.ends == .nothing))
      expectReadable(event.failure(rank: 0, peer: 3))
      meanings.insert(event.meaning)
    }
    #expect(meanings.count == 21)
    let down = RDMAErrorText.event(type: 10, device: "rxe0", port: 1)
    #expect(down.meaning == "rxe0 port 1 went down" && down.name == "IBV_EVENT_PORT_ERR" && down.ends == .port)
    #expect(RDMAErrorText.event(type: 8, device: "rxe0").ends == .device)
    #expect((0...19).filter { RDMAErrorText.event(type: $0, device: "d").ends == .link } == [0, 1, 2, 3, 14, 16, 19])
    #expect(down.failure(rank: 0, peer: 3).message == "rxe0 port 1 went down [IBV_EVENT_PORT_ERR]; the link to rank 3 ended")
  }

  // MARK: Connections

  @Test func everyConnectionEventHasItsText() {
    for event in UInt32(0)...16 {
      for status in [0, -ETIMEDOUT, -ENODEV, 28] {
        let failure = RDMAErrorText.connection(event: event, status: status, link)
        expectReadable(failure)
        #expect(failure.peer == 3 && failure.message.contains(event < 16 ? "[RDMA_CM_EVENT_" : "[librdmacm event 16"))
        #expect(failure.systemError == (status < 0 ? -status : 0))
      }
    }
    let silent = RDMAErrorText.connection(event: 7, status: -ETIMEDOUT, link)
    #expect(silent.code == .peerLost)
    #expect(
      silent.message.hasPrefix("rank 3 at 10.77.100.102 does not answer over RDMA from mlx5_10 port 1 (10.77.100.101)"))
    #expect(RDMAErrorText.connection(event: 1, status: -ENODEV, link).advice.contains("ip route get 10.77.100.102"))
  }

  @Test func everyRejectionHasItsText() {
    for reason in [Int32.min, -ECONNREFUSED] + (0...34) {
      let failure = RDMAErrorText.connection(event: 8, status: reason, link)
      expectReadable(failure)
      #expect(failure.message.hasSuffix("[RDMA_CM_EVENT_REJECTED, reason \(reason)]") && !failure.advice.isEmpty)
    }
    #expect(RDMAErrorText.connection(event: 8, status: 8, link).code == .peerLost)
    #expect(RDMAErrorText.connection(event: 8, status: 28, link).message.contains("refused the connection"))
  }

  @Test func everyErrorOfConnectingHasItsText() {
    for error in Int32(1)...133 {
      let failure = RDMAErrorText.connecting(call: "rdma_resolve_addr", error: error, link)
      expectReadable(failure)
      #expect(failure.systemError == error && failure.message.contains("(rdma_resolve_addr)") && !failure.advice.isEmpty)
    }
    let alone = RDMAErrorText.Connection(rank: 0, peer: 3, from: rail, to: nil)
    #expect(RDMAErrorText.connecting(call: "rdma_listen", error: EADDRINUSE, alone).message.contains("no free port"))
    #expect(RDMAErrorText.connecting(call: "rdma_connect", error: ETIMEDOUT, alone).code == .peerLost)
  }

  // MARK: Resources

  @Test func everyErrorOfMakingHasItsText() {
    for call in ["ibv_reg_mr", "ibv_create_qp", "ibv_create_cq", "ibv_alloc_pd", "ibv_open_device", "ibv_other"] {
      for error in Int32(1)...133 {
        for locked in [nil, 65536] as [UInt64?] {
          let failure = RDMAErrorText.resource(
            call: call, error: error, bytes: 123_456_789_012, device: "mlx5_10", rank: 1000, peer: 1001,
            locked: .init(limit: locked, pinned: 4096))
          expectReadable(failure)
          #expect(failure.message.contains("mlx5_10") && failure.message.contains("(\(call))") && !failure.advice.isEmpty)
        }
      }
    }
  }

  @Test func theLimitOfLockedMemoryIsTold() {
    func failure(_ call: String, _ bytes: Int, limit: UInt64?, pinned: UInt64 = 32768) -> FailureReport {
      RDMAErrorText.resource(
        call: call, error: ENOMEM, bytes: bytes, device: "rxe0", rank: 0, locked: .init(limit: limit, pinned: pinned))
    }
    let small = failure("ibv_reg_mr", 1 << 20, limit: 65536)
    #expect(small.code == .resources && small.systemError == ENOMEM)
    #expect(
      small.message
        == "rxe0 cannot register 1024 KiB of memory: locked memory is limited to 64 KiB, 32 KiB are in use (ibv_reg_mr)")
    #expect(small.advice.hasPrefix("Set ulimit -l 1056 or more") && small.advice.contains("--ulimit memlock=-1"))
    #expect(small.advice.contains("limits.conf") && small.advice.contains("LimitMEMLOCK="))
    #expect(failure("ibv_create_qp", 0, limit: 65536).advice.hasPrefix("Set ulimit -l unlimited"))
    for other in [failure("ibv_reg_mr", 1 << 20, limit: nil), failure("ibv_reg_mr", 1 << 20, limit: 1 << 30)] {
      #expect(!other.description.contains("ulimit") && other.message.contains("no room"))
    }
  }

  @Test func theLimitIsRead() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
    #expect(RDMAErrorText.LockedMemory.current().limit == (limit.rlim_cur == rlim_t.max ? nil : UInt64(limit.rlim_cur)))
  }

  #if RDMA
    /// The numbers are written out where they are told; here they meet the headers.
    @Test func numbersAreTheHeaders() {
      #expect(completion(IBV_WC_RETRY_EXC_ERR.rawValue).message.contains("[IBV_WC_RETRY_EXC_ERR"))
      #expect(completion(IBV_WC_WR_FLUSH_ERR.rawValue).message.contains("[IBV_WC_WR_FLUSH_ERR"))
      #expect(completion(IBV_WC_FATAL_ERR.rawValue).message.contains("[IBV_WC_FATAL_ERR"))
      #expect(completion(IBV_WC_TM_RNDV_INCOMPLETE.rawValue).message.contains("[IBV_WC_TM_RNDV_INCOMPLETE"))
      #expect(completion(IBV_WC_TM_RNDV_INCOMPLETE.rawValue + 1).message.contains("newer"))
      for (type, name) in [
        (IBV_EVENT_CQ_ERR, "CQ_ERR"), (IBV_EVENT_DEVICE_FATAL, "DEVICE_FATAL"), (IBV_EVENT_PORT_ERR, "PORT_ERR"),
        (IBV_EVENT_GID_CHANGE, "GID_CHANGE"), (IBV_EVENT_WQ_FATAL, "WQ_FATAL"),
      ] { #expect(RDMAErrorText.event(type: type.rawValue, device: "d").name == "IBV_EVENT_\(name)") }
      for (event, name) in [
        (RDMA_CM_EVENT_ADDR_ERROR, "ADDR_ERROR"), (RDMA_CM_EVENT_UNREACHABLE, "UNREACHABLE"),
        (RDMA_CM_EVENT_REJECTED, "REJECTED"), (RDMA_CM_EVENT_TIMEWAIT_EXIT, "TIMEWAIT_EXIT"),
      ] {
        #expect(
          RDMAErrorText.connection(event: event.rawValue, status: 0, link).message.contains("[RDMA_CM_EVENT_\(name)"))
      }
    }
  #endif
}
