import Foundation
import Testing
import TuttiRDMA
import TuttiSystem

/// A folder that looks like /sys and /dev of a host with RDMA devices. Gone with its owner.
final class MadeUpHost {
  let root = FileManager.default.temporaryDirectory.appending(path: "tutti-rdma-\(UUID().uuidString)")
  var addresses: [InterfaceAddress] = []
  var obstacle: String?
  /// Paths below the root, and the errno of opening them.
  var denied: [String: Int32] = [:]
  private var nodes = 0

  init(connectionManager: Bool = true) throws {
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    if connectionManager { try write("dev/infiniband/rdma_cm", "") }
  }

  deinit { try? FileManager.default.removeItem(at: root) }

  func write(_ path: String, _ text: String) throws {
    let file = root.appending(path: path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }

  /// Thousands of them, so without what else Foundation does to a file.
  private func writeEmptyGID(_ path: String) throws {
    let file = try #require(fopen(path, "w"))
    fputs(Self.noGID + "\n", file)
    fclose(file)
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(at: root.appending(path: path)) }

  func device(_ name: String, type: String = "1: CA") throws {
    try write("sys/class/infiniband/\(name)/node_type", type + "\n")
    try write("sys/class/infiniband_verbs/uverbs\(nodes)/ibdev", name + "\n")
    try write("dev/infiniband/uverbs\(nodes)", "")
    nodes += 1
  }

  /// - Parameter gids: Index, text, type, and interface.
  func port(
    _ device: String, _ number: Int = 1, state: String = "4: ACTIVE", physical: String = "5: LinkUp",
    layer: String = "Ethernet", rate: String = "100 Gb/sec (4X EDR)",
    gids: [(Int, String, String, String)], tableLength: Int = 16
  ) throws {
    let folder = "sys/class/infiniband/\(device)/ports/\(number)"
    for (name, text) in [
      ("state", state), ("phys_state", physical), ("link_layer", layer), ("lid", "0x1f"), ("rate", rate),
    ] { try write("\(folder)/\(name)", text + "\n") }
    try write("\(folder)/gids/0", Self.noGID + "\n")
    for index in 1..<tableLength { try writeEmptyGID(root.appending(path: folder).path + "/gids/\(index)") }
    for (index, gid, type, interface) in gids {
      try write("\(folder)/gids/\(index)", gid + "\n")
      try write("\(folder)/gid_attrs/types/\(index)", type + "\n")
      if !interface.isEmpty { try write("\(folder)/gid_attrs/ndevs/\(index)", interface + "\n") }
    }
  }

  func address(_ interface: String, _ bytes: [UInt8], _ prefixLength: UInt8, isUp: Bool = true) {
    addresses.append(InterfaceAddress(interface: interface, bytes: bytes, prefixLength: prefixLength, isUp: isUp))
  }

  /// A device with one port, IPv4 `10.0.0.last` on its interface, with the GIDs such a card has: link-local and IPv4, each
  /// as v1 and v2.
  func roce(_ name: String, _ interface: String, last: UInt8, rate: String = "100 Gb/sec (4X EDR)") throws {
    try device(name)
    let four = "0000:0000:0000:0000:0000:ffff:0a00:00" + String(last, radix: 16, padded: 2)
    try port(
      name, rate: rate,
      gids: [
        (0, Self.linkLocal, "IB/RoCE v1", interface), (1, Self.linkLocal, "RoCE v2", interface),
        (2, four, "IB/RoCE v1", interface), (3, four, "RoCE v2", interface),
      ])
    address(interface, [10, 0, 0, last], 24)
  }

  func survey(_ settings: RDMASettings = RDMASettings()) -> RDMASurvey {
    let root = root.path
    let denied = denied
    return RDMASurvey.current(
      settings,
      on: RDMAHost(
        sysfs: root + "/sys", deviceFolder: root + "/dev", addresses: addresses, obstacle: obstacle,
        access: { path in denied[String(path.dropFirst(root.count + 1))] ?? RDMAHost.systemAccess(path) }))
  }

  func survey(devices: String...) -> RDMASurvey {
    var settings = RDMASettings()
    settings.devices = devices
    return survey(settings)
  }

  func survey(gidIndex: Int) -> RDMASurvey {
    var settings = RDMASettings()
    settings.gidIndex = gidIndex
    return survey(settings)
  }

  static let noGID = "0000:0000:0000:0000:0000:0000:0000:0000"
  static let linkLocal = "fe80:0000:0000:0000:5054:00ff:fe77:0000"
}

extension String {
  fileprivate init(_ value: UInt8, radix: Int, padded: Int) {
    let digits = String(value, radix: radix)
    self = String(repeating: "0", count: padded - digits.count) + digits
  }
}
