/// A host as ranks see it: what shares abstract Unix sockets, and memory where ``MemoryDomain`` agrees. Two network
/// namespaces are two hosts.
package struct HostIdentity: Hashable, Sendable {
  /// For people; not part of the identity.
  package var name: String
  /// Boot identifier and network namespace.
  package var identity: String

  /// The most bytes of either text.
  package static let textBytesMax = 255

  /// What two containers of one machine have in common: the identity without the network namespace.
  package var machine: Substring { identity.prefix(upTo: identity.lastIndex(of: "/") ?? identity.endIndex) }

  package static func == (left: HostIdentity, right: HostIdentity) -> Bool { left.identity == right.identity }
  package func hash(into hasher: inout Hasher) { hasher.combine(identity) }

  package init(name: String, identity: String) {
    self.name = name
    self.identity = identity
  }
}
