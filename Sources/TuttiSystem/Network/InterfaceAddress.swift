import Glibc

/// An IP address of a network interface of this host.
package struct InterfaceAddress: Hashable, Sendable {
  package let interface: String
  /// 4 or 16 bytes in network order.
  package let bytes: [UInt8]
  /// Bits of the address that are the subnet's.
  package let prefixLength: UInt8
  package let isUp: Bool

  package init(interface: String, bytes: [UInt8], prefixLength: UInt8, isUp: Bool = true) {
    self.interface = interface
    self.bytes = bytes
    self.prefixLength = prefixLength
    self.isUp = isUp
  }

  /// Lists the addresses of this network namespace (getifaddrs(3)). Empty when the kernel does not tell.
  package static func list() -> [InterfaceAddress] {
    var head: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&head) == 0 else { return [] }
    defer { freeifaddrs(head) }
    var addresses: [InterfaceAddress] = []
    var next = head
    while let current = next?.pointee {
      next = current.ifa_next
      guard let bytes = bytes(of: current.ifa_addr) else { continue }
      let mask = Self.bytes(of: current.ifa_netmask, family: Int32(current.ifa_addr.pointee.sa_family)) ?? []
      addresses.append(
        InterfaceAddress(
          interface: String(cString: current.ifa_name), bytes: bytes,
          prefixLength: UInt8(mask.reduce(0) { $0 + $1.nonzeroBitCount }),
          isUp: current.ifa_flags & UInt32(IFF_UP) != 0))
    }
    return addresses
  }

  /// - Parameter family: The family to read it as; nil for the one it states itself, which netmasks do not always do.
  private static func bytes(of address: UnsafeMutablePointer<sockaddr>?, family: Int32? = nil) -> [UInt8]? {
    guard let address else { return nil }
    switch family ?? Int32(address.pointee.sa_family) {
    case AF_INET:
      return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) }
      }
    case AF_INET6:
      return address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sin6_addr) { Array($0) }
      }
    default: return nil
    }
  }

  // MARK: Addresses as bytes

  /// Turns an IPv4-mapped address (RFC 4291, 2.5.5.2) into the IPv4 address; others stay as they are.
  package static func unmapped(_ bytes: [UInt8]) -> [UInt8] {
    let isMapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
    return isMapped ? Array(bytes[12...]) : bytes
  }

  /// Whether the address is link-local: in 169.254.0.0/16 or fe80::/10.
  package static func isLinkLocal(_ bytes: [UInt8]) -> Bool {
    bytes.count == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
  }

  /// Whether the address is a loopback address: in 127.0.0.0/8, or ::1.
  package static func isLoopback(_ bytes: [UInt8]) -> Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }

  package static func text(_ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
    return String(untilNull: text)
  }
}

extension InterfaceAddress: CustomStringConvertible {
  /// `10.77.0.1/24`.
  package var description: String { "\(Self.text(bytes))/\(prefixLength)" }
}
