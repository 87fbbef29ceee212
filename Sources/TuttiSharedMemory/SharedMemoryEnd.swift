import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTransport

/// What shared memory has of this process.
struct SharedMemoryAccess: TransportAccess {
  let settings: PathSettings
  let offer = SharedMemoryOffer.current().bytes

  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd {
    try SharedMemoryEnd(place, settings)
  }
}

/// A rank's end of its links over shared memory. Two ranks pass each other what a link needs over a Unix socket, and then
/// meet in memory.
final class SharedMemoryEnd: TransportEnd {
  private let endpoint: SharedMemoryEndpoint
  /// The index among the host's ranks of each rank that this one shares memory with.
  private let places: [Int: Int]
  private let arrivals = LinkArrivals()

  private struct Answered {
    /// Sockets of dialers whose introduction has not come yet, by rank.
    var sockets: [Int: PassedDescriptor] = [:]
    var isClosed = false
  }
  private let answered = Lock(Answered())

  init(_ place: EndPlace, _ settings: PathSettings) throws(FailureReport) {
    let sharing = place.choice.group(over: SharedMemoryTransport.kind)
    places = Dictionary(uniqueKeysWithValues: zip(sharing, 0...))
    guard let own = places[place.rank] else {
      preconditionFailure("an end of shared memory is made with nobody to share with")
    }
    endpoint = try SharedMemoryEndpoint(
      rank: place.rank, localIndex: own, geometry: SharedMemoryGeometry(rankCount: sharing.count),
      registered: place.registered, memoryNode: place.memoryNode, settings: settings)
  }

  /// Peers look at its flag in this rank's region before they ring.
  var doorbell: Doorbell? { endpoint.doorbell }

  func start(_ doorbell: Doorbell) {
    precondition(doorbell === endpoint.doorbell, "the ranks of a host look at another doorbell's flag")
  }

  /// Opens the link to a peer. The peer answers from its service thread, so this takes microseconds, or until the deadline
  /// when the peer is stopped.
  func dial(
    _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) {
    let socket = connection.takeSocket()
    try endpoint.introduce(over: socket.raw)
    while true {
      let now = monotonicNanoseconds()
      if now >= deadline {
        throw FailureReport(
          .timeout, rank: endpoint.rank, peer: peer,
          "rank \(peer) did not answer while a shared memory link to it was opened",
          advice: "Check whether its process is stopped", transport: SharedMemoryTransport.kind.name)
      }
      if let failure = giveUp() { throw failure }
      var entry = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
      if tutti_poll(&entry, 1, min(deadline - now, 100_000_000)) > 0, let link = try link(to: peer, over: socket.raw) {
        return arrivals.add(link)
      }
    }
  }

  func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport) {
    let passed = PassedDescriptor(connection.takeSocket())
    try endpoint.introduce(over: passed.raw)
    answered.withLock { if !$0.isClosed { $0.sockets[peer] = passed } }
  }

  func takeLinks(into links: inout [Link]) throws(FailureReport) {
    links += arrivals.take()
    for (peer, socket) in answered.withLock({ $0.sockets }) {
      guard let link = try link(to: peer, over: socket.raw) else { continue }
      answered.withLock { $0.sockets[peer] = nil }
      links.append(link)
    }
  }

  /// The link to a peer, once its introduction has come.
  private func link(to peer: Int, over socket: Int32) throws(FailureReport) -> SharedMemoryLink? {
    guard let place = places[peer] else { preconditionFailure("rank \(peer) shares no memory with rank \(endpoint.rank)") }
    return try endpoint.acceptIntroduction(over: socket, from: peer, place: place)
  }

  func close() {
    answered.withLock { state in
      state.isClosed = true
      state.sockets = [:]
    }
    arrivals.close()
  }
}
