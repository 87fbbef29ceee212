import TuttiTransport

/// What the environment says about RDMA. Each rank's own business but for what peers see.
package struct RDMASettings: Hashable, Sendable {
  /// Devices to use, `NAME` or `NAME:PORT`, best first; empty for all that are usable. `TUTTI_RDMA_DEVICES=mlx5_0,mlx5_1:2`
  package var devices: [String] = []
  /// The GID to use on each port; nil to choose. `TUTTI_RDMA_GID_INDEX`
  package var gidIndex: Int?
  /// Queue pairs of a link, 1 to 8, spread over its rails; at least one a rail. The lower number of both ranks counts. `TUTTI_RDMA_QUEUE_PAIRS`
  package var queuePairs = 1
  /// A packet without acknowledgement is sent again after 4.096 us times two to this power, 1 to 31. `TUTTI_RDMA_TIMEOUT`
  package var timeout: UInt8 = 16
  /// How often, 0 to 7, before the peer counts as lost. `TUTTI_RDMA_RETRY_COUNT`
  package var retryCount: UInt8 = 7
  /// 0 to 15; nil for what the fabric says. `TUTTI_RDMA_SERVICE_LEVEL`
  package var serviceLevel: UInt8?
  /// 0 to 255: the byte of the IP header that holds DSCP and ECN. `TUTTI_RDMA_TRAFFIC_CLASS`
  package var trafficClass: UInt8?
  /// 256, 512, 1024, 2048 or 4096, no more than the port's active one; nil for that. `TUTTI_RDMA_MTU`
  package var mtu: Int?
  /// The longest single message, for devices and tests; nil for the port's. `TUTTI_RDMA_MESSAGE_BYTES`
  package var messageBytesMax: Int?

  package init() {}

  /// Throws `.configuration` with the variable, its value and what it may be.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> RDMASettings { RDMASettings() }
}
