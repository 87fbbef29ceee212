import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import TuttiTransport

  /// A channel of the connection manager's events, with helpers for calls that take socket addresses.
  final class RDMAEvents: @unchecked Sendable {
    // @unchecked: set in `init`; librdmacm is thread-safe.

    let verbs: VerbsLibrary
    let channel: VerbsLibrary.EventChannel
    private let generation = tutti_current_fork_generation()

    init(_ verbs: VerbsLibrary, rank: Int) throws(FailureReport) {
      self.verbs = verbs
      guard let channel = verbs.createEventChannel() else {
        throw FailureReport(
          .transport, rank: rank, "the RDMA connection manager cannot be opened (rdma_create_event_channel)",
          advice:
            "This user needs read and write permission for /dev/infiniband/rdma_cm, and the kernel its module rdma_ucm",
          transport: "rdma", systemError: errno)
      }
      self.channel = channel
      VerbsLibrary.makeNonBlocking(channel.pointee.fd)
    }

    deinit {
      if generation == tutti_current_fork_generation() { verbs.destroyEventChannel(channel) }
    }

    /// Whether this process made it: not in the child of a fork.
    var isOwn: Bool { generation == tutti_current_fork_generation() }

    var descriptor: Int32 { channel.pointee.fd }

    /// The next event; nil when there is none now. The caller gives it back with `verbs.acknowledgeEvent`.
    func next() -> VerbsLibrary.Event? {
      var event: VerbsLibrary.Event?
      return verbs.getEvent(channel, &event) == 0 ? event : nil
    }

    func makeID(_ context: UnsafeMutableRawPointer?) -> VerbsLibrary.ID? {
      var id: VerbsLibrary.ID?
      return verbs.createID(channel, &id, context, RDMA_PS_TCP) == 0 ? id : nil
    }

    /// Calls `body` with an address of a rail in the form that the kernel takes.
    static func withAddress<Result>(
      _ rail: Rail, port: UInt16, _ body: (UnsafeMutablePointer<sockaddr>) -> Result
    ) -> Result {
      var storage = sockaddr_storage()
      withUnsafeMutableBytes(of: &storage) { bytes in
        // sin_port and sin6_port have the same offset.
        bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
        let offset = rail.address.count == 4 ? 4 : 8
        for (index, byte) in rail.address.enumerated() { bytes[offset + index] = byte }
      }
      storage.ss_family = sa_family_t(rail.address.count == 4 ? AF_INET : AF_INET6)
      return withUnsafeMutablePointer(to: &storage) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
      }
    }
  }
#endif
