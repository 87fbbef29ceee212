import TuttiTransport

/// The RDMA devices that a communicator uses, and those split from it: opened devices, protection domains, registered memory.
package final class RDMAFabric: @unchecked Sendable {
  /// At least one.
  package let rails: [Rail]
  package let settings: RDMASettings

  /// Opens the devices of these rails.
  ///
  /// - Throws: `.resources` (limits of locked memory), `.transport`: a device cannot be opened.
  package init(rails: [Rail], settings: RDMASettings, rank: Int) throws(FailureReport) {
    self.rails = rails
    self.settings = settings
  }

  /// Descriptors that become readable when a device or port has news; to be watched by somebody who then calls ``serviceEvents()``.
  package var eventDescriptors: [Int32] { [] }
  /// Takes in what devices say: a port that went down, a device that is gone. Never blocks.
  package func serviceEvents() {}
  /// No link is left.
  package func close() {}
}
