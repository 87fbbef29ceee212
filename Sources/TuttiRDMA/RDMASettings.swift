import TuttiSystem

/// What the environment says about RDMA. Ranks may differ, except in what peers see.
package struct RDMASettings: Hashable, Sendable {
  /// Devices to use, `NAME` or `NAME:PORT`, best first; empty for all that are usable. `TUTTI_RDMA_DEVICES=mlx5_0,mlx5_1:2`
  package var devices: [String] = []
  /// The GID to use on each port; nil to choose. `TUTTI_RDMA_GID_INDEX`
  package var gidIndex: Int?
  /// Queue pairs of a link, 1 to 8, spread over its rails; at least one a rail. The lower number of both ranks counts.
  /// `TUTTI_RDMA_QUEUE_PAIRS`
  package var queuePairs = 1
  /// A packet without acknowledgement is sent again after 4.096 us times two to this power, 1 to 31. `TUTTI_RDMA_TIMEOUT`
  package var timeout: UInt8 = 18
  /// How often it is sent again, 0 to 7, before the peer counts as lost. Soft-RoCE takes 7 for "for ever".
  /// `TUTTI_RDMA_RETRY_COUNT`
  package var retryCount: UInt8 = 6
  /// The service level, 0 to 15; nil for what the fabric says. `TUTTI_RDMA_SERVICE_LEVEL`
  package var serviceLevel: UInt8?
  /// The byte of the IP header that holds DSCP and ECN, 0 to 255. `TUTTI_RDMA_TRAFFIC_CLASS`
  package var trafficClass: UInt8?
  /// The MTU: 256, 512, 1024, 2048 or 4096, no more than the port's active one; nil for that one. `TUTTI_RDMA_MTU`
  package var mtu: Int?
  /// The longest single message, for devices and tests; nil for the port's. `TUTTI_RDMA_MESSAGE_BYTES`
  package var messageBytesMax: Int?

  package init() {}

  /// Reads and checks every `TUTTI_RDMA_*` variable; one without a value counts as not set. ``RDMASurvey`` checks whether
  /// the devices exist.
  ///
  /// - Throws: `.configuration` with the variable, its value and what it may be; also for an unknown variable, which would
  ///   otherwise silently do nothing.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> RDMASettings {
    let variables = environment.filter { $0.key.hasPrefix(RDMAVariable.prefix) && !$0.value.isEmpty }
    // The order is fixed, so that all ranks complain about the same one.
    for name in variables.keys.sorted() where RDMAVariable(rawValue: name) == nil { throw RDMAVariable.unknown(name) }

    func number(_ variable: RDMAVariable, orElse: String) throws(FailureReport) -> Int? {
      guard let text = variables[variable.rawValue] else { return nil }
      return try variable.number(text, orElse: orElse)
    }
    var settings = RDMASettings()
    if let text = variables[RDMAVariable.devices.rawValue] { settings.devices = try RDMAVariable.deviceNames(text) }
    settings.gidIndex = try number(.gidIndex, orElse: "to have one chosen")
    settings.queuePairs = try number(.queuePairs, orElse: "for \(settings.queuePairs)") ?? settings.queuePairs
    settings.timeout = try number(.timeout, orElse: "for \(settings.timeout)").map { UInt8($0) } ?? settings.timeout
    settings.retryCount =
      try number(.retryCount, orElse: "for \(settings.retryCount)").map { UInt8($0) } ?? settings.retryCount
    settings.serviceLevel = try number(.serviceLevel, orElse: "for what the fabric says").map { UInt8($0) }
    settings.trafficClass = try number(.trafficClass, orElse: "for what the host says").map { UInt8($0) }
    settings.mtu = try number(.mtu, orElse: "for the port's active one")
    settings.messageBytesMax = try number(.messageBytes, orElse: "for the port's")
    return settings
  }

  /// How long a peer may stay silent before it counts as lost: the first try and ``retryCount`` more, each of 4.096 us x
  /// 2^``timeout``. Devices may take up to four times as long (InfiniBand Architecture Specification, volume 1, 9.7.6.1.3).
  package var silenceSeconds: Double {
    4.096e-6 * Double(UInt64(1) << UInt64(min(timeout, 31))) * Double(Int(retryCount) + 1)
  }
}
