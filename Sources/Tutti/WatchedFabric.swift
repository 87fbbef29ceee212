import TuttiBootstrap
import TuttiRDMA
import TuttiTransport

/// One rank's RDMA devices and the watch over them: shared by the members of its communicators that were split from one another, and given up
/// with the last reference.
final class WatchedFabric: Sendable {
  let fabric: RDMAFabric
  private let watches: [DescriptorWatch]

  /// Opens the devices of these rails.
  ///
  /// - Throws: As `RDMAFabric` does; `.resources`: there can be no service thread.
  init(rails: [Rail], settings: RDMASettings, rank: Int) throws(FailureReport) {
    let fabric = try RDMAFabric(rails: rails, settings: settings, rank: rank)
    self.fabric = fabric
    var watches: [DescriptorWatch] = []
    for descriptor in fabric.eventDescriptors {
      watches.append(try DescriptorWatch(descriptor) { [weak fabric] in fabric?.serviceEvents() })
    }
    self.watches = watches
  }

  deinit {
    // Before the devices close what is watched. Registered memory may hold them longer.
    for watch in watches { watch.cancel() }
  }
}
