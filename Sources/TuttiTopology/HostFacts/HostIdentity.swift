/// A host as ranks see it: what shares abstract Unix sockets, and memory where ``MemoryDomain`` agrees. Two network
/// namespaces are two hosts.
package struct HostIdentity: Hashable, Sendable {
  /// For people; not part of the identity.
  package var name: String
  /// Boot identifier and network namespace.
  package let identity: String
  /// What two containers of one machine have in common: the identity without the network namespace. It is kept, because
  /// each rank compares it with that of every other.
  package let machine: Substring

  /// The most bytes of either text.
  package static let textBytesMax = 255

  package static func == (left: HostIdentity, right: HostIdentity) -> Bool { left.identity == right.identity }
  package func hash(into hasher: inout Hasher) { hasher.combine(identity) }

  package init(name: String, identity: String) {
    self.name = name
    self.identity = identity
    machine = identity.prefix(upTo: identity.lastIndex(of: "/") ?? identity.endIndex)
  }
}
