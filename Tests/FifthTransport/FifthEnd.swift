import TuttiSystem
import TuttiTransport

/// What the transport has of this process.
struct FifthAccess: TransportAccess {
  var offer: [UInt8] { FifthOffer.own.bytes }

  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd { FifthEnd(rank: place.rank) }
}

/// A rank's end of its links: whoever is dialed sends a number, under which the dialer finds it in this process, and makes
/// both ends of the link.
package final class FifthEnd: TransportEnd {
  private let rank: Int
  private let segmentBytesMax: Int
  private let arrivals = LinkArrivals()
  private let doorbellStorage = Lock<Doorbell?>(nil)

  /// Ends that wait to be found.
  private static let waiting = Lock<[UInt64: FifthEnd]>([:])

  package init(rank: Int, segmentBytesMax: Int = FifthTransport.segmentBytesMax) {
    self.rank = rank
    self.segmentBytesMax = segmentBytesMax
  }

  package func start(_ doorbell: Doorbell) { doorbellStorage.withLock { $0 = doorbell } }

  private func ownDoorbell() throws(FailureReport) -> Doorbell {
    guard let doorbell = doorbellStorage.withLock({ $0 }) else { throw FailureReport(.transport, "the end was not started") }
    return doorbell
  }

  package func dial(
    _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) {
    let socket = connection.takeSocket()
    var bytes: [UInt8] = []
    while bytes.count < 8 {
      if let failure = giveUp() { throw failure }
      guard Sockets.wait(socket.raw, for: 1, until: min(deadline, monotonicNanoseconds() + 50_000_000)) else {
        if monotonicNanoseconds() < deadline { continue }
        throw FailureReport(.timeout, rank: rank, peer: peer, "rank \(peer) did not answer", transport: "fifth")
      }
      switch Sockets.receiveNow(socket.raw, max: 8 - bytes.count) {
      case .bytes(let more): bytes += more
      case .nothing: continue
      case .end: throw FailureReport(.peerLost, rank: rank, peer: peer, "rank \(peer) closed", transport: "fifth")
      }
    }
    var decoder = WireDecoder(bytes)
    let number: UInt64
    do throws(MalformedMessage) { number = try decoder.take("number") } catch { number = 0 }
    guard let other = Self.waiting.withLock({ $0.removeValue(forKey: number) }) else {
      throw FailureReport(.peerLost, rank: rank, peer: peer, "rank \(peer) is not here any more", transport: "fifth")
    }
    let links = try InProcessLink.makePair(
      rankA: rank, rankB: peer, doorbells: (ownDoorbell(), other.ownDoorbell()), segmentBytesMax: segmentBytesMax,
      kind: FifthTransport.kind)
    arrivals.add(links.0)
    other.arrivals.add(links.1)
    try other.ownDoorbell().ring()
  }

  package func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport) {
    let number = UInt64.random(in: 1 ... .max)
    Self.waiting.withLock { $0[number] = self }
    var encoder = WireEncoder()
    encoder.put(number)
    // A number is smaller than any socket's buffer.
    _ = connection.sendNow(encoder.bytes[...])
  }

  package func takeLinks(into links: inout [Link]) { links += arrivals.take() }

  package func close() {
    Self.waiting.withLock { waiting in waiting = waiting.filter { $0.value !== self } }
    arrivals.close()
  }
}
