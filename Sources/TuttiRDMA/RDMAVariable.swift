import TuttiSystem
import TuttiTopology

/// The environment variables of RDMA: what each may be, and the error when it is something else.
enum RDMAVariable: String, CaseIterable {
  case devices = "TUTTI_RDMA_DEVICES"
  case gidIndex = "TUTTI_RDMA_GID_INDEX"
  case queuePairs = "TUTTI_RDMA_QUEUE_PAIRS"
  case timeout = "TUTTI_RDMA_TIMEOUT"
  case retryCount = "TUTTI_RDMA_RETRY_COUNT"
  case serviceLevel = "TUTTI_RDMA_SERVICE_LEVEL"
  case trafficClass = "TUTTI_RDMA_TRAFFIC_CLASS"
  case mtu = "TUTTI_RDMA_MTU"
  case messageBytes = "TUTTI_RDMA_MESSAGE_BYTES"

  static let prefix = "TUTTI_RDMA_"
  /// Verbs have 8 bits for the index of a GID.
  static let gidIndexMax = 255
  private static let mtus = [256, 512, 1024, 2048, 4096]

  private var range: ClosedRange<Int> {
    switch self {
    case .gidIndex: 0...Self.gidIndexMax
    case .queuePairs: 1...8
    // 0 would mean to wait for ever.
    case .timeout: 1...31
    case .retryCount: 0...7
    case .serviceLevel: 0...15
    case .trafficClass: 0...255
    case .mtu: 256...4096
    // The lower bound leaves room for a slot's header; InfiniBand's longest message is 2 GiB. A segment in such pieces has
    // to fit a send queue.
    case .messageBytes: 4096...1 << 31
    case .devices: 0...0
    }
  }

  /// - Parameter orElse: What happens without it, to follow "unset it".
  func number(_ text: String, orElse: String) throws(FailureReport) -> Int {
    // Int("+5") is 5, but a sign is more often a slip.
    let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    guard digits, let value = Int(text), range.contains(value), self != .mtu || Self.mtus.contains(value) else {
      let isWhat =
        self == .mtu
        ? "one of \(Self.mtus.map { "\($0)" }.joined(separator: ", "))"
        : "a number from \(range.lowerBound) to \(range.upperBound)"
      throw FailureReport(
        .configuration, "\(rawValue)=\"\(shown(text))\" is not \(isWhat)",
        advice: "Set it to \(purpose), or unset it \(orElse)")
    }
    return value
  }

  /// What to set it to.
  private var purpose: String {
    switch self {
    case .devices: "devices to use, best first, as NAME or NAME:PORT with commas between: mlx5_0,mlx5_1:2"
    case .gidIndex: "the index of the GID to use on every port (collbench list shows them)"
    case .queuePairs: "how many queue pairs a link has"
    case .timeout: "the power of two that gives the acknowledgement timeout of 4.096 us x 2^N: 14 is 67 ms, 16 is 268 ms"
    case .retryCount: "how often a packet is sent again before the peer counts as lost"
    case .serviceLevel: "the service level that the fabric gives to such traffic"
    case .trafficClass: "the byte of the IP header that holds DSCP and ECN: 106 is DSCP 26 with ECN"
    case .mtu: "a number of bytes that is not above the port's active MTU"
    case .messageBytes: "the bytes of the longest single message"
    }
  }

  /// The entries of `TUTTI_RDMA_DEVICES`.
  static func deviceNames(_ text: String) throws(FailureReport) -> [String] {
    func refusal(_ why: String) -> FailureReport {
      FailureReport(
        .configuration, "\(devices.rawValue)=\"\(shown(text))\" \(why)",
        advice: "Set it to \(devices.purpose), or unset it for all that are usable")
    }
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    var ports: [String: Set<String>] = [:]
    for name in names {
      let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      let device = parts[0]
      guard !device.isEmpty else { throw refusal("has an empty name") }
      let isName = device.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
      guard isName, device.utf8.count <= Rail.deviceBytesMax, device != ".", device != ".." else {
        throw refusal("has '\(shown(device))', which is not the name of a device")
      }
      if parts.count > 2 { throw refusal("has '\(shown(name))', which is not NAME:PORT") }
      if parts.count == 2, UInt8(parts[1]).map({ "\($0)" == parts[1] && $0 > 0 }) != true {
        throw refusal("has '\(shown(name))': ports are numbers from 1 to 255")
      }
      let port = parts.count == 2 ? parts[1] : ""
      let others = ports[device] ?? []
      if others.contains(port) { throw refusal("names \(name) twice") }
      if others.contains("") || (port.isEmpty && !others.isEmpty) {
        throw refusal("names \(device) with a port and without, which is all its ports")
      }
      ports[device] = others.union([port])
    }
    if names.count > Rail.countMax {
      throw refusal("names \(names.count) ports, and a rank uses \(Rail.countMax) at most")
    }
    return names
  }

  static func unknown(_ name: String) -> FailureReport {
    let known = allCases.map(\.rawValue)
    // Without what all of them begin with, and no longer than a name may be.
    let suffix = Array(name.dropFirst(prefix.count).prefix(64))
    let nearest = allCases.map { ($0, editDistance(suffix, Array($0.rawValue.dropFirst(prefix.count)))) }
      .min { $0.1 < $1.1 }
    let advice = nearest.flatMap { $0.1 <= max(2, $0.0.rawValue.count / 5) ? "Did you mean \($0.0.rawValue)? " : nil }
    return FailureReport(
      .configuration, "\(shown(name)) is set, and Tutti knows no such variable",
      advice: "\(advice ?? "")There are \(known.joined(separator: ", "))")
  }
}

/// The value in the environment, short enough for a message, and without characters that would move a terminal's cursor.
private func shown(_ text: String) -> String {
  String(String.UnicodeScalarView(text.unicodeScalars.prefix(64).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }))
}
