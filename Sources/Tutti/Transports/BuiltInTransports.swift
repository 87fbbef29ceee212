import TuttiRDMA
import TuttiSchedule
import TuttiSharedMemory
import TuttiTCP
import TuttiTransport

// The list of transports, and the names that Swift programs have for them. C's and Python's are in `tutti.h` and
// `_enums.py`.

enum BuiltInTransports {
  /// The transports that processes can join with, in the order in which tools list them. `auto` prefers the quicker medium.
  static let all: [any Transport] = [SharedMemoryTransport(), RDMATransport(), TCPTransport()]

  /// The order of a ``TransportSet``, fixed because programs compare its text in results; other transports follow.
  static let namesInResults = ["inprocess", "shm", "tcp", "rdma"]
}

/// Which transport carries the data.
public struct TransportChoice: Hashable, Sendable, Named {
  public let name: String

  package init(_ kind: TransportKind) { name = kind.name }

  /// Makes a choice that may be unknown here, such as the transport of another rank's error.
  init(named name: String) { self.name = name }

  /// Shared memory between ranks of one host; between hosts RDMA where both have devices on one subnet, TCP elsewhere.
  public static let auto = TransportChoice(named: "auto")
  /// Shared memory only: an error where two ranks are not on one host.
  public static let sharedMemory = TransportChoice(SharedMemoryTransport.kind)
  /// RDMA verbs only, also between ranks of one host: an error where two ranks cannot use them.
  public static let rdma = TransportChoice(RDMATransport.kind)
  /// TCP only, also between ranks of one host.
  public static let tcp = TransportChoice(TCPTransport.kind)
  /// Ranks are threads of this process: see ``Communicator/makeInProcess(rankCount:options:)``.
  public static let inProcess = TransportChoice(.inProcess)

  /// What can be chosen, in the order in which tools list it.
  public static let allCases = [auto] + BuiltInTransports.all.map { TransportChoice($0.kind) } + [inProcess]
}
