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

  /// Addresses of interfaces that are up.
  package static func list() -> [Entry] {
    InterfaceAddress.list().compactMap { entry in
      guard entry.isUp, let address = SocketAddress(bytes: entry.bytes, port: 0) else { return nil }
      return Entry(
        name: entry.interface, address: address.lacksScope ? address.withScope(if_nametoindex(entry.interface)) : address)
    }
  }

  /// The name of an interface, or its number as text when it has gone.
  static func name(ofNumber number: UInt32) -> String {
    var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    return if_indextoname(number, &buffer) == nil ? "\(number)" : String(untilNull: buffer)
  }

  /// The ways to an address: itself, or a link-local address of IPv6 over each interface that may lead to it, bridges last.
  ///
  /// - Parameter first: The number of the interface that comes first; 0 for none.
  package static func ways(
    to address: SocketAddress, first: UInt32 = 0, among entries: [Entry] = list(), isBridge: (String) -> Bool = isBridge
  ) -> [SocketAddress] {
    guard address.lacksScope else { return [address] }
    let candidates = entries.filter { $0.address.family == AF_INET6 && $0.address.scope != 0 }
    let ordered =
      candidates.filter { $0.address.scope == first }
      + candidates.filter { $0.address.scope != first && !isBridge($0.name) }
      + candidates.filter { $0.address.scope != first && isBridge($0.name) }
    var ways: [SocketAddress] = []
    for entry in ordered where !ways.contains(address.withScope(entry.address.scope)) {
      ways.append(address.withScope(entry.address.scope))
    }
    return ways
  }

  /// An address of this host's own with its interface, where it takes one; as it is where it is not this host's.
  package static func completed(_ address: SocketAddress, among entries: [Entry] = list()) -> SocketAddress {
    guard address.lacksScope, let own = entries.first(where: { $0.address.withScope(0) == address.withPort(0) }) else {
      return address
    }
    return address.withScope(own.address.scope)
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

  /// The address that `TUTTI_INTERFACE` means: the first of the named interface (IPv4 before IPv6, and link-local ones of
  /// that last), or the first in the subnet.
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
    if let first = matching.first(where: { !$0.address.isLinkLocal }) ?? matching.first { return first.address }
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
    case (.ipv6(let high, let low, _, _), .ipv6(let otherHigh, let otherLow, _, _)):
      if prefix == 0 { return true }
      if prefix <= 64 { return (high ^ otherHigh) >> UInt64(64 - prefix) == 0 }
      return high == otherHigh && (low ^ otherLow) >> UInt64(128 - prefix) == 0
    default:
      return false
    }
  }
}
