// Hosts of one kind, one after the other, with names that are computed rather than kept where they follow a pattern.

/// The names of hosts.
package enum HostNames: Hashable, Sendable {
  /// A prefix and a number with at least so many digits: `node0001`.
  case numbered(prefix: String, first: Int, digits: Int)
  case listed([String])

  package func name(_ index: Int) -> String {
    switch self {
    case .listed(let names): return names[index]
    case .numbered(let prefix, let first, let digits):
      let number = String(first + index)
      return prefix + String(repeating: "0", count: max(0, digits - number.count)) + number
    }
  }
}

/// Hosts of one kind in a row. Their numbers are contiguous, in the order of the file.
package struct HostRun: Sendable {
  package let kind: HostKind
  package let count: Int
  package let names: HostNames
  /// The region they are in.
  package internal(set) var region = 0
  /// The number of the first of them among all hosts.
  package internal(set) var firstHost = 0
  /// Where their links are numbered from.
  package internal(set) var firstLink = 0
  /// By network of the region: the place of the first among the hosts that are in it; nil where these are not.
  package internal(set) var ordinals: [Int?] = []
  /// By network: which interfaces of such a host are in it.
  package internal(set) var nics: [[Int]] = []

  package init(kind: HostKind, count: Int, names: HostNames) {
    self.kind = kind
    self.count = count
    self.names = names
  }

  package var hosts: Range<Int> { firstHost..<firstHost + count }
}
