import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiRDMA
import TuttiSystem
import TuttiTransport

/// The RDMA devices of this machine, and the two endpoints that tests make links between: ranks 3 and 5 of this process.
///
/// A thread of its own takes in what the connection manager and the devices say, as the service thread does in a program.
final class RDMABench: Sendable {
  let fabric: RDMAFabric
  let settings: RDMASettings
  let first: RDMAEndpoint
  let second: RDMAEndpoint
  let registered: (RegisteredMemory, RegisteredMemory)
  let doorbells: (Doorbell, Doorbell)

  /// Why no link can be made on this machine; nil where one can.
  static let obstacle: String? = RDMASurvey.current(RDMASettings()).obstacle

  /// The one that most tests share.
  private static let shared = Lock<RDMABench?>(nil)

  static func current() throws -> RDMABench {
    try shared.withLock { bench in
      if let bench { return bench }
      let made = try RDMABench()
      bench = made
      return made
    }
  }

  init(
    _ settings: RDMASettings = RDMASettings(), segmentBytesMax: Int = conformanceSegmentBytesMax
  ) throws {
    self.settings = settings
    let rails = RDMASurvey.current(settings).rails
    fabric = try RDMAFabric(rails: rails, settings: settings, rank: firstRank)
    registered = (try RegisteredMemory(), try RegisteredMemory())
    doorbells = (try Doorbell(), try Doorbell())
    first = try RDMAEndpoint(
      fabric: fabric, rank: firstRank, rankCount: 2, doorbell: doorbells.0, registered: registered.0,
      segmentBytesMax: segmentBytesMax)
    second = try RDMAEndpoint(
      fabric: fabric, rank: secondRank, rankCount: 2, doorbell: doorbells.1, registered: registered.1,
      segmentBytesMax: segmentBytesMax)
    let (fabric, endpoints) = (fabric, [first, second])
    try startDetachedThread("rdma-test-service") {
      while true {
        var entries = (fabric.eventDescriptors + endpoints.map(\.descriptor)).map {
          pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        _ = poll(&entries, nfds_t(entries.count), 1000)
        for descriptor in fabric.eventDescriptors { fabric.serviceEvents(of: descriptor) }
        for endpoint in endpoints { endpoint.service() }
      }
    }
  }

  /// Connected links: rank 3's and rank 5's.
  func makePair() throws -> (Link, Link) {
    let (near, far) = try unixSockets()
    try first.invite(over: OwnedDescriptor(near), from: secondRank)
    let deadline = Patience.deadline(seconds: 20)
    let dialed = try second.connect(over: OwnedDescriptor(far), to: firstRank, rails: fabric.rails, deadline: deadline) {
      nil
    }
    var accepted: [Link] = []
    while true {
      try first.takeLinks(into: &accepted)
      if let link = accepted.first { return (link, dialed) }
      try #require(monotonicNanoseconds() < deadline, "the accepted link does not come")
      usleep(200)
    }
  }
}

struct RDMAFactory: LinkPairFactory {
  let name = "rdma"
  let pairsToClose = 40
  func makePair() throws -> (Link, Link) { try RDMABench.current().makePair() }
}

/// Several queue pairs, and messages so short that every segment takes many.
struct RDMAStripedFactory: LinkPairFactory {
  let name = "rdma, 3 queue pairs, messages of at most 16384 bytes"
  let pairsToClose = 20
  private static let bench = Lock<RDMABench?>(nil)

  func makePair() throws -> (Link, Link) {
    try Self.bench.withLock { bench in
      if let bench { return try bench.makePair() }
      var settings = RDMASettings()
      settings.queuePairs = 3
      settings.messageBytesMax = 16384
      let made = try RDMABench(settings)
      bench = made
      return try made.makePair()
    }
  }
}
