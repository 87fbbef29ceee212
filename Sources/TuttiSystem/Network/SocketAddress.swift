import Glibc

/// Where a listener can be reached: an IPv4 or IPv6 address and port, or an abstract Unix socket (Linux: no file, goes with
/// the network namespace).
package enum SocketAddress: Hashable, Sendable {
  /// The address in host byte order: 127.0.0.1 is 0x7F000001.
  case ipv4(UInt32, port: UInt16)
  /// The address as two big-endian halves: ::1 is (0, 1). A link-local one is reached over one interface of this host,
  /// whose number is the scope; it means nothing to other hosts, so it does not travel. 0 where it is not known, and for
  /// others.
  case ipv6(UInt64, UInt64, port: UInt16, scope: UInt32 = 0)
  /// The name without the leading zero byte; 1-107 bytes.
  case abstractUnix(String)

  /// Reads a numeric address, such as `10.0.0.1`, `fd00::1` or `fe80::1%eth0`; nil for anything else, names included, and
  /// for an interface that this host does not have.
  package init?(numeric text: String, port: UInt16) {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      self = .ipv4(UInt32(bigEndian: four.s_addr), port: port)
    } else if inet_pton(AF_INET6, parts[0], &six) == 1 {
      let address = Self(six, port: port, scope: 0)
      guard parts.count == 2 else {
        self = address
        return
      }
      let scope = if_nametoindex(parts[1])
      guard scope != 0, address.isLinkLocal else { return nil }
      self = address.withScope(scope)
    } else {
      return nil
    }
  }

  private init(_ address: in6_addr, port: UInt16, scope: UInt32) {
    let halves = withUnsafeBytes(of: address) {
      ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
    self = .ipv6(UInt64(bigEndian: halves.0), UInt64(bigEndian: halves.1), port: port, scope: scope)
  }

  /// The address of 4 or 16 bytes in network order, which is IPv4 also where it is mapped into IPv6; nil for another number
  /// of bytes.
  package init?(bytes: [UInt8], port: UInt16) {
    let bytes = InterfaceAddress.unmapped(bytes)
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
    self = bytes.count == 4 ? .ipv4(UInt32(word(0..<4)), port: port) : .ipv6(word(0..<8), word(8..<16), port: port)
  }

  /// Reads what the kernel filled in; nil for other families.
  package init?(_ address: UnsafePointer<sockaddr>) {
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      let four = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
      self = .ipv4(UInt32(bigEndian: four.sin_addr.s_addr), port: UInt16(bigEndian: four.sin_port))
    case AF_INET6:
      let six = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
      let mapped = Self(six.sin6_addr, port: UInt16(bigEndian: six.sin6_port), scope: six.sin6_scope_id)
      // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d; people and other ranks know them as IPv4.
      if case .ipv6(0, let low, let port, _) = mapped, low >> 32 == 0xFFFF {
        self = .ipv4(UInt32(truncatingIfNeeded: low), port: port)
      } else {
        self = mapped
      }
    default:
      return nil
    }
  }

  /// Calls `body` with the address in the form that system calls take.
  package func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var storage = sockaddr_storage()
    let length: Int
    switch self {
    case .ipv4(let address, let port):
      let value = sockaddr_in(
        sin_family: sa_family_t(AF_INET), sin_port: port.bigEndian, sin_addr: in_addr(s_addr: address.bigEndian),
        sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
      length = MemoryLayout<sockaddr_in>.size
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in.self) }
    case .ipv6(let high, let low, let port, let scope):
      var value = sockaddr_in6()
      value.sin6_family = sa_family_t(AF_INET6)
      value.sin6_scope_id = scope
      value.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &value.sin6_addr) {
        $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      length = MemoryLayout<sockaddr_in6>.size
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in6.self) }
    case .abstractUnix(let name):
      storage.ss_family = sa_family_t(AF_UNIX)
      let text = Array(name.utf8.prefix(Self.abstractNameBytesMax))
      length = 3 + text.count
      withUnsafeMutableBytes(of: &storage) { $0[3..<length].copyBytes(from: text) }
    }
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }

  /// `sockaddr_un.sun_path` has 108 bytes, of which an abstract name cannot use the first.
  package static let abstractNameBytesMax = 107

  package var family: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .abstractUnix: AF_UNIX
    }
  }

  package var port: UInt16 {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, let port, _): port
    case .abstractUnix: 0
    }
  }

  package func withPort(_ port: UInt16) -> SocketAddress {
    switch self {
    case .ipv4(let address, _): .ipv4(address, port: port)
    case .ipv6(let high, let low, _, let scope): .ipv6(high, low, port: port, scope: scope)
    case .abstractUnix: self
    }
  }

  /// The address over the interface of that number, where it is one of IPv6.
  package func withScope(_ scope: UInt32) -> SocketAddress {
    if case .ipv6(let high, let low, let port, _) = self { .ipv6(high, low, port: port, scope: scope) } else { self }
  }

  /// The number of the interface over which a link-local address of IPv6 is reached; 0 for others, and where it is unknown.
  package var scope: UInt32 { if case .ipv6(_, _, _, let scope) = self { scope } else { 0 } }

  /// Whether it takes an interface to reach it, and none is known.
  package var lacksScope: Bool { family == AF_INET6 && isLinkLocal && scope == 0 }

  package var isLoopback: Bool {
    switch self {
    case .ipv4(let address, _): address >> 24 == 127
    case .ipv6(let high, let low, _, _): high == 0 && low == 1
    case .abstractUnix: true
    }
  }

  /// Whether it stands for every address of a host, as `0.0.0.0` and `::` do.
  package var isUnspecified: Bool {
    switch self {
    case .ipv4(let address, _): address == 0
    case .ipv6(let high, let low, _, _): high == 0 && low == 0
    case .abstractUnix: false
    }
  }

  package var isLinkLocal: Bool {
    switch self {
    case .ipv4(let address, _): address >> 16 == 0xA9FE
    case .ipv6(let high, _, _, _): high >> 54 == 0xFE80 >> 6
    case .abstractUnix: false
    }
  }

  /// The address without its port: `10.0.0.1`, `fd00::1`, `fe80::1%eth0`.
  package var hostText: String {
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    switch self {
    case .ipv4(let address, _):
      var value = in_addr(s_addr: address.bigEndian)
      inet_ntop(AF_INET, &value, &buffer, socklen_t(buffer.count))
    case .ipv6(let high, let low, _, _):
      var value = in6_addr()
      withUnsafeMutableBytes(of: &value) {
        $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      inet_ntop(AF_INET6, &value, &buffer, socklen_t(buffer.count))
    case .abstractUnix(let name):
      return "unix:@\(name)"
    }
    return String(untilNull: buffer) + (scope == 0 ? "" : "%\(Interfaces.name(ofNumber: scope))")
  }
}

extension SocketAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .ipv4(_, let port): "\(hostText):\(port)"
    case .ipv6(_, _, let port, _): "[\(hostText)]:\(port)"
    case .abstractUnix: hostText
    }
  }
}

extension SocketAddress {
  package func encode(into encoder: inout WireEncoder) {
    switch self {
    case .ipv4(let address, let port):
      encoder.put(UInt8(4))
      encoder.put(address)
      encoder.put(port)
    case .ipv6(let high, let low, let port, _):
      encoder.put(UInt8(6))
      encoder.put(high)
      encoder.put(low)
      encoder.put(port)
    case .abstractUnix(let name):
      encoder.put(UInt8(1))
      encoder.put(name, bytesMax: Self.abstractNameBytesMax)
    }
  }

  package init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    switch try decoder.take(UInt8.self, "address family") {
    case 4:
      self = .ipv4(try decoder.take("address"), port: try decoder.take("port"))
    case 6:
      self = .ipv6(try decoder.take("address"), try decoder.take("address"), port: try decoder.take("port"))
    case 1:
      self = .abstractUnix(try decoder.takeText(bytesMax: Self.abstractNameBytesMax, "socket name"))
    default:
      throw MalformedMessage("address family")
    }
  }
}
