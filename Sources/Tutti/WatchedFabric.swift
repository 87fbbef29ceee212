import TuttiBootstrap
import TuttiRDMA
import TuttiSystem
import TuttiTopology

/// One rank's RDMA devices and the watch over them: shared by the members of its communicators that were split from one another, and given up
/// with the last reference.
final class WatchedFabric: Sendable {
  let fabric: RDMAFabric
  private let watches: Lock<[Int32: DescriptorWatch]>

  /// Opens the devices of these rails.
  ///
  /// - Throws: As `RDMAFabric` does; `.resources`: there can be no service thread.
  init(rails: [Rail], settings: RDMASettings, rank: Int) throws(FailureReport) {
    let fabric = try RDMAFabric(rails: rails, settings: settings, rank: rank)
    self.fabric = fabric
    let watches = Lock<[Int32: DescriptorWatch]>([:])
    self.watches = watches
    for descriptor in fabric.eventDescriptors {
      let watch = try DescriptorWatch(descriptor) { [weak fabric, weak watches] in
        guard let fabric, !fabric.serviceEvents(of: descriptor) else { return }
        // A device that is gone would be ready for ever.
        watches?.withLock { $0[descriptor] }?.cancel()
      }
      watches.withLock { $0[descriptor] = watch }
    }
  }

  deinit {
    // Before the devices close what is watched. Registered memory may hold them longer.
    for watch in watches.withLock({ Array($0.values) }) { watch.cancel() }
  }
}
