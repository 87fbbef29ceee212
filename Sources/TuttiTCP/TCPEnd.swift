import TuttiSystem
import TuttiTransport

/// What TCP has of this process. It needs nothing that a host could lack.
struct TCPAccess: TransportAccess {
  let patience: LinkPatience

  var offer: [UInt8] { TCPOffer().bytes }

  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd { TCPEnd(place, patience) }
}

/// A rank's end of its links over TCP: the connection that a link begins with is the one that carries its data.
final class TCPEnd: TransportEnd {
  private let rank: Int
  private let patience: LinkPatience
  private let arrivals = LinkArrivals()

  init(_ place: EndPlace, _ patience: LinkPatience) { (rank, self.patience) = (place.rank, patience) }

  func start(_ doorbell: Doorbell) {}

  func dial(
    _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) {
    try answer(peer, over: connection)
  }

  func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport) {
    arrivals.add(
      try TCPLink(
        connection: connection, peer: peer, rank: rank, segmentBytesMax: TCPTransport.segmentBytesMax, patience: patience))
  }

  func takeLinks(into links: inout [Link]) { links += arrivals.take() }

  func close() { arrivals.close() }
}
