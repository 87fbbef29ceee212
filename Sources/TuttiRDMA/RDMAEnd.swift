import TuttiSystem
import TuttiTopology
import TuttiTransport

/// What RDMA has of this process: its settings, the devices that were found and, once there are links, the devices that are
/// open. The ends of communicators that were split from one another share the open ones, which are closed with the last of
/// them.
final class RDMAAccess: TransportAccess {
  let offer: [UInt8]
  let failure: FailureReport?
  private let settings: RDMASettings
  private let rails: [Rail]
  private let rank: Int

  private struct Opened { weak var fabric: WatchedFabric? }
  private let opened = Lock(Opened())

  init(_ request: TransportRequest) throws(FailureReport) {
    rank = request.rank
    settings = try RDMASettings.read(request.environment)
    // A rank that is alone needs no devices.
    let survey = request.rankCount > 1 ? RDMASurvey.current(settings) : nil
    rails = survey?.rails ?? []
    offer = RDMAOffer(rails: rails, obstacle: survey?.obstacle ?? "").bytes
    failure = survey?.settingsFailure
  }

  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd {
    let fabric = try opened.withLock { opened throws(FailureReport) in
      if let fabric = opened.fabric { return fabric }
      let fabric = try WatchedFabric(rails: rails, settings: settings, rank: rank, place.watch)
      opened.fabric = fabric
      return fabric
    }
    return RDMAEnd(place, fabric)
  }
}

/// One rank's RDMA devices, and the watch over their events.
final class WatchedFabric: Sendable {
  let fabric: RDMAFabric
  private let watches: Lock<[Int32: any WatchedDescriptor]>

  /// Opens the devices of these rails.
  init(rails: [Rail], settings: RDMASettings, rank: Int, _ watch: EndPlace.Watch) throws(FailureReport) {
    let fabric = try RDMAFabric(rails: rails, settings: settings, rank: rank)
    self.fabric = fabric
    let watches = Lock<[Int32: any WatchedDescriptor]>([:])
    self.watches = watches
    for descriptor in fabric.eventDescriptors {
      let watched = try watch(descriptor) { [weak fabric, weak watches] in
        guard let fabric, !fabric.serviceEvents(of: descriptor) else { return }
        // The descriptor of a device that is gone would be ready for ever.
        watches?.withLock { $0[descriptor] }?.cancel()
      }
      watches.withLock { $0[descriptor] = watched }
    }
  }

  deinit {
    // The watches end before the devices close what is watched. Registered memory may keep the devices longer.
    for watch in watches.withLock({ Array($0.values) }) { watch.cancel() }
  }
}

/// A rank's end of its links over RDMA. Two ranks agree on a link over a connection; then the connection manager makes it.
final class RDMAEnd: TransportEnd {
  private let place: EndPlace
  private let fabric: WatchedFabric
  private let arrivals = LinkArrivals()

  private struct State {
    var endpoint: RDMAEndpoint?
    var watch: (any WatchedDescriptor)?
  }
  private let state = Lock(State())

  init(_ place: EndPlace, _ fabric: WatchedFabric) {
    self.place = place
    self.fabric = fabric
  }

  private var endpoint: RDMAEndpoint {
    guard let endpoint = state.withLock({ $0.endpoint }) else { preconditionFailure("an end of RDMA was not started") }
    return endpoint
  }

  func start(_ doorbell: Doorbell) throws(FailureReport) {
    let endpoint = try RDMAEndpoint(
      fabric: fabric.fabric, rank: place.rank, rankCount: place.choice.ranks.count, doorbell: doorbell,
      registered: place.registered)
    do throws(FailureReport) {
      let watch = try place.watch(endpoint.descriptor) { [weak endpoint] in endpoint?.service() }
      state.withLock { $0 = State(endpoint: endpoint, watch: watch) }
    } catch {
      endpoint.close()
      throw error
    }
  }

  func dial(
    _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport) {
    let rails = RDMAOffer(of: place.choice.ranks[peer]).rails
    arrivals.add(
      try endpoint.connect(over: connection.takeSocket(), to: peer, rails: rails, deadline: deadline, giveUp: giveUp))
  }

  func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport) {
    try endpoint.invite(over: connection.takeSocket(), from: peer)
  }

  func takeLinks(into links: inout [Link]) throws(FailureReport) {
    links += arrivals.take()
    try endpoint.takeLinks(into: &links)
  }

  func close() {
    let state = state.withLock { $0 }
    state.watch?.cancel()
    state.endpoint?.close()
    arrivals.close()
  }
}
