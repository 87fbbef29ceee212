/// What carries the messages between two ranks, as far as their cost tells media apart: a class of cost, not a transport.
///
/// Each transport says which it is, and the choice of algorithms depends on that alone. Raw values are what people are told.
package enum Medium: String, Sendable, CaseIterable {
  case sharedMemory = "shared memory"
  case loopback
  case network
  case rdma = "RDMA"

  /// Whether it leads from host to host.
  package var crossesHosts: Bool { self == .network || self == .rdma }
}

/// The quicker one is the lesser; `auto` prefers it.
extension Medium: Comparable {
  package static func < (left: Medium, right: Medium) -> Bool { left.slowness < right.slowness }

  private var slowness: Int {
    switch self {
    case .sharedMemory: 0
    case .rdma: 1
    case .loopback: 2
    case .network: 3
    }
  }
}
