import Glibc

/// Lists this host's network addresses and chooses among them.
package enum Interfaces {
  package struct Entry: Hashable {
    package let name: String
    package let address: SocketAddress

    package init(name: String, address: SocketAddress) {
      self.name = name
      self.address = address
    }
  }

  /// Addresses of interfaces that are up, without those of IPv6 that are link-local: they mean nothing without an interface.
  package static func list() -> [Entry] {
    InterfaceAddress.list().compactMap { entry in
      guard entry.isUp, let address = SocketAddress(bytes: entry.bytes, port: 0),
        address.family == AF_INET || !address.isLinkLocal
      else { return nil }
      return Entry(name: entry.interface, address: address)
    }
  }

  /// The addresses that other hosts may reach, best first: interfaces to a network before bridges, which containers and
  /// virtual machines of this host hang on; IPv4 before IPv6. Link-local ones only where there are no others.
  ///
  /// - Parameter isBridge: Whether the interface of that name is a bridge.
  package static func reachable(
    among entries: [Entry] = list(), isBridge: (String) -> Bool = isBridge
  ) -> [SocketAddress] {
    let usable = entries.filter { !$0.address.isLoopback }
    let plain = usable.filter { !$0.address.isLinkLocal }
    let candidates = plain.isEmpty ? usable : plain
    func group(_ family: Int32, ofBridges: Bool) -> [SocketAddress] {
      candidates.filter { $0.address.family == family && isBridge($0.name) == ofBridges }.map(\.address)
    }
    return [false, true].flatMap { group(AF_INET, ofBridges: $0) + group(AF_INET6, ofBridges: $0) }
  }

  /// Whether the kernel says that an interface is a bridge. The name must be one that the kernel gave, because it becomes a
  /// part of a path.
  package static func isBridge(_ name: String) -> Bool { access("/sys/class/net/\(name)/bridge", F_OK) == 0 }

  /// The address that `TUTTI_INTERFACE` means: the first of the named interface (IPv4 before IPv6), or the first in the
  /// subnet.
  package static func choose(_ text: String, among entries: [Entry] = list()) throws(FailureReport) -> SocketAddress {
    let matching: [Entry]
    if text.contains("/") {
      guard let subnet = Subnet(text) else {
        throw FailureReport(
          .configuration, "TUTTI_INTERFACE=\"\(text)\" is not a subnet", advice: "Write it as 10.0.0.0/8 or fd00::/16")
      }
      matching = entries.filter { subnet.contains($0.address) }
    } else {
      matching = entries.filter { $0.name == text }
    }
    if let four = matching.first(where: { $0.address.family == AF_INET }) { return four.address }
    if let first = matching.first { return first.address }
    let known = entries.map { "\($0.name) (\($0.address.hostText))" }.joined(separator: ", ")
    throw FailureReport(
      .configuration, "TUTTI_INTERFACE=\"\(text)\" matches no interface of this host that is up and has an address",
      advice: "This host has \(known.isEmpty ? "none" : known)")
  }
}

/// A range of addresses, as `10.0.0.0/8`.
package struct Subnet {
  private let base: SocketAddress
  private let prefix: Int

  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let base = SocketAddress(numeric: String(parts[0]), port: 0), let prefix = Int(parts[1]),
      (0...(base.family == AF_INET ? 32 : 128)).contains(prefix)
    else { return nil }
    self.base = base
    self.prefix = prefix
  }

  package func contains(_ address: SocketAddress) -> Bool {
    switch (base, address) {
    case (.ipv4(let base, _), .ipv4(let address, _)):
      return prefix == 0 || (base ^ address) >> UInt32(32 - prefix) == 0
    case (.ipv6(let high, let low, _), .ipv6(let otherHigh, let otherLow, _)):
      if prefix == 0 { return true }
      if prefix <= 64 { return (high ^ otherHigh) >> UInt64(64 - prefix) == 0 }
      return high == otherHigh && (low ^ otherLow) >> UInt64(128 - prefix) == 0
    default:
      return false
    }
  }
}
