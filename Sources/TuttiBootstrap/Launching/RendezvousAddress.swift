import TuttiSystem

/// The address where the ranks of a job meet, as it was written.
package enum RendezvousAddress: Hashable, Sendable {
  /// A host name or numeric address, and a TCP port.
  case tcp(host: String, port: UInt16)
  /// An abstract Unix socket, for ranks on one host: `unix:@name`.
  case abstractUnix(String)

  /// Reads `host:port`, `[v6]:port` or `unix:@name`; nil when it is none of these.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let name = text.dropFirst(6)
      guard text.hasPrefix("unix:@"), (1...SocketAddress.abstractNameBytesMax).contains(name.utf8.count) else {
        return nil
      }
      self = .abstractUnix(String(name))
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "[" || $0 == "]" }) else { return nil }
    self = .tcp(host: String(host), port: port)
  }

  /// Written so that it can only mean this host.
  var isLoopback: Bool {
    switch self {
    case .abstractUnix: true
    case .tcp(let host, let port): SocketAddress(numeric: host, port: port)?.isLoopback == true
    }
  }

  /// Whether it is the name that every host has for itself.
  var isLocalhost: Bool {
    if case .tcp("localhost", _) = self { return true }
    return false
  }
}

extension RendezvousAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .abstractUnix(let name): "unix:@\(name)"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}
