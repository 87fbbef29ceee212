import TuttiSystem
import TuttiTransport

/// What TCP has of this process. It needs nothing that a host could lack.
struct TCPAccess: TransportAccess {
  var offer: [UInt8] { TCPOffer().bytes }

  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd { TCPEnd(place) }
}

/// A rank's end of its links over TCP: the connection that a link begins with is the one that carries its data.
final class TCPEnd: TransportEnd {
  private let rank: Int
  private let arrivals = LinkArrivals()

  init(_ place: EndPlace) { rank = place.rank }

  func start(_ doorbell: Doorbell) {}

  func dial(
    _ peer: Int, over socket: consuming OwnedDescriptor, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) {
    try answer(peer, over: socket)
  }

  func answer(_ peer: Int, over socket: consuming OwnedDescriptor) throws(FailureReport) {
    arrivals.add(try TCPLink(socket: socket, peer: peer, rank: rank, segmentBytesMax: TCPTransport.segmentBytesMax))
  }

  func takeLinks(into links: inout [Link]) { links += arrivals.take() }

  func close() { arrivals.close() }
}
