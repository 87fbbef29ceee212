import Glibc
import TuttiSystem
import TuttiTopology

// Reading /sys/class/infiniband (Documentation/ABI/stable/sysfs-class-infiniband of the kernel). Files that are missing or
// make no sense leave a device or port that cannot be used, never an error: they may vanish while they are read.

extension RDMAHost {
  /// Reads every device, with its own obstacles; those of ports and GIDs are judged later.
  func readDevices() -> [RDMASurvey.Device] {
    let nodes = deviceNodes()
    return names(in: "\(sysfs)/class/infiniband").map { name in
      let folder = "\(sysfs)/class/infiniband/\(name)"
      let interfaces = readIPoIB(folder)
      let ports = names(in: "\(folder)/ports").compactMap { text in
        UInt8(text).flatMap { $0 > 0 ? readPort("\(folder)/ports/\(text)", $0, interfaces) : nil }
      }
      return RDMASurvey.Device(name: name, ports: ports, obstacle: obstacle(toDevice: folder, node: nodes[name]))
    }
  }

  private func obstacle(toDevice folder: String, node: String?) -> String? {
    switch value("\(folder)/node_type") {
    case "CA": break
    case "RNIC": return "iWARP: it has no write with immediate"
    case let type: return "its node type is \(type ?? "not told"): it has no reliable connections"
    }
    guard let node else { return "it has no uverbs device: is the kernel module ib_uverbs loaded?" }
    return obstacle(
      to: "\(deviceFolder)/infiniband/\(node)", whenMissing: "containers get it with --device=/dev/infiniband")
  }

  /// Maps names of devices to those of their files in /dev/infiniband: `rxe0` to `uverbs0`.
  private func deviceNodes() -> [String: String] {
    let folder = "\(sysfs)/class/infiniband_verbs"
    var nodes: [String: String] = [:]
    for node in names(in: folder) where node.hasPrefix("uverbs") {
      if let device = line("\(folder)/\(node)/ibdev") { nodes[device] = node }
    }
    return nodes
  }

  private func readPort(_ folder: String, _ number: UInt8, _ interfaces: [IPoIB]) -> RDMASurvey.Port {
    let linkLayer: Rail.LinkLayer? =
      switch line("\(folder)/link_layer") {
      case "InfiniBand": .infiniband
      case "Ethernet": .ethernet
      default: nil
      }
    let lid = line("\(folder)/lid").flatMap { $0.hasPrefix("0x") ? Int($0.dropFirst(2), radix: 16) : nil }
    let gigabits = line("\(folder)/rate")?.split(separator: " ").first.flatMap { Double($0) }
    return RDMASurvey.Port(
      number: number, linkLayer: linkLayer, state: value("\(folder)/state") ?? "in no known state",
      physicalState: value("\(folder)/phys_state") ?? "not told", lid: lid ?? 0,
      gigabits: gigabits.map { $0.isFinite && $0 > 0 ? $0 : 0 } ?? 0,
      gids: readGIDs(folder, linkLayer == .infiniband ? interfaces : nil))
  }

  // MARK: GIDs

  /// The entries of a port's table that are not empty. Tables of a thousand entries are usual, and nearly all are empty:
  /// those that verbs' 8 bits cannot name are not read, and of empty ones nothing but the GID, whose attributes give EINVAL.
  ///
  /// - Parameter interfaces: The IPoIB interfaces on InfiniBand; nil on Ethernet.
  private func readGIDs(_ folder: String, _ interfaces: [IPoIB]?) -> [RDMASurvey.GID] {
    let table = open("\(folder)/gids", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard table >= 0 else { return [] }
    defer { close(table) }
    var gids: [RDMASurvey.GID] = []
    for index in 0...RDMAVariable.gidIndexMax {
      guard let text = readEntry(index, of: table) else { break }
      guard let bytes = Self.parseGID(text), !Self.isEmpty(bytes) else { continue }
      let isVersion2 = line("\(folder)/gid_attrs/types/\(index)") == "RoCE v2"
      let told = line("\(folder)/gid_attrs/ndevs/\(index)")
      let address = interfaces.map { best(of: $0, with: bytes) } ?? ownAddress(InterfaceAddress.unmapped(bytes), told)
      gids.append(
        RDMASurvey.GID(
          index: index, bytes: bytes, type: interfaces != nil ? .infiniband : isVersion2 ? .roceV2 : .roceV1,
          interface: address?.interface ?? told, address: address))
    }
    return gids
  }

  /// Reads the text of an entry; empty when it cannot be read, nil when there is no such entry.
  private func readEntry(_ index: Int, of table: Int32) -> String? {
    let file = openat(table, "\(index)", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return errno == ENOENT ? nil : "" }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
    }
  }

  /// `fe80:0000:0000:0000:5054:00ff:fe77:0000` and a line feed; nil for anything else.
  static func parseGID(_ text: String) -> [UInt8]? {
    let groups = text.split(separator: "\n", omittingEmptySubsequences: true).first?.split(separator: ":") ?? []
    let words = groups.compactMap { $0.utf8.count == 4 ? UInt16($0, radix: 16) : nil }
    guard groups.count == 8, words.count == 8 else { return nil }
    return words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
  }

  /// Whether an entry is all zero, or InfiniBand's subnet prefix without a GUID, which is an alias that nobody has.
  private static func isEmpty(_ bytes: [UInt8]) -> Bool { bytes[8...].allSatisfy { $0 == 0 } }

  /// For RoCE: finds the address that the GID is, on the interface that the kernel names for it.
  private func ownAddress(_ bytes: [UInt8], _ interface: String?) -> InterfaceAddress? {
    let same = addresses.filter { $0.bytes == bytes }
    return same.first { $0.interface == interface } ?? same.first
  }

  // MARK: IP over InfiniBand

  /// An interface of a device, and the GID in its hardware address.
  struct IPoIB {
    let name: String
    let gid: [UInt8]
  }

  private func readIPoIB(_ folder: String) -> [IPoIB] {
    names(in: "\(folder)/device/net").compactMap { name in
      // ARPHRD_INFINIBAND. Its hardware address: 4 bytes with a queue pair's number, and the port's GID (RFC 4391, 9.1.1).
      guard line("\(folder)/device/net/\(name)/type") == "32" else { return nil }
      let parts = line("\(folder)/device/net/\(name)/address")?.split(separator: ":") ?? []
      let bytes = parts.compactMap { UInt8($0, radix: 16) }
      return parts.count == 20 && bytes.count == 20 ? IPoIB(name: name, gid: Array(bytes[4...])) : nil
    }
  }

  /// The address that others can use, of the interfaces of a GID: IPv4 first.
  private func best(of interfaces: [IPoIB], with gid: [UInt8]) -> InterfaceAddress? {
    let usable = interfaces.filter { $0.gid == gid }.flatMap { interface in
      addresses.filter { $0.interface == interface.name && $0.isUp && !InterfaceAddress.isLinkLocal($0.bytes) }
    }
    return usable.first { $0.bytes.count == 4 } ?? usable.first
  }

  // MARK: Files

  /// The entries of a folder, sorted with numbers in them compared as numbers; empty when it cannot be read.
  private func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted { Self.sortKey($0) < Self.sortKey($1) }
  }

  /// Splits `mlx5_10` into `mlx5_` and 10.
  private static func sortKey(_ name: String) -> (String, Int) {
    let digits = name.utf8.reversed().prefix { (0x30...0x39).contains($0) }.count
    return (String(name.dropLast(digits)), Int(name.suffix(digits)) ?? -1)
  }

  /// The first line of a file; nil when it is empty or cannot be read.
  private func line(_ path: String) -> String? {
    readSmallFile(path, bytesMax: 256)?.split(separator: "\n").first.map(String.init)
  }

  /// The text behind the number in `4: ACTIVE`.
  private func value(_ path: String) -> String? {
    guard let line = line(path), let colon = line.firstIndex(of: ":") else { return nil }
    let value = line[line.index(after: colon)...].drop { $0 == " " }
    return value.isEmpty ? nil : String(value)
  }
}
