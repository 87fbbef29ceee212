import TuttiSystem
import TuttiTopology

/// What every rank knows of every other when they have met, as far as transports may judge by it.
package struct RankFacts: Hashable, Sendable {
  package var rank: Int
  package var process: ProcessIdentity
  package var host: HostIdentity
  /// What its process may do there.
  package var abilities: HostAbilities
  /// What the transports that it would use have to say about it; those it does not offer are missing.
  package var offers: [TransportOffer]

  package init(
    rank: Int, process: ProcessIdentity, host: HostIdentity, abilities: HostAbilities, offers: [TransportOffer]
  ) {
    self.rank = rank
    self.process = process
    self.host = host
    self.abilities = abilities
    self.offers = offers
  }

  /// `rank 2 (pid 123 on host-a)`.
  package var description: String { "rank \(rank) (pid \(process.pid) on \(host.name))" }

  /// What a transport offers here; nil when it does not.
  package func offer(of kind: TransportKind) -> [UInt8]? { offers.first { $0.kind == kind }?.bytes }

  /// Whether both are on one machine, in whatever containers.
  package func isOnMachine(of other: RankFacts) -> Bool { host.machine == other.host.machine }

  /// Whether the process number of one means the same process to the other.
  package func isInProcessNamespace(of other: RankFacts) -> Bool { process.namespace == other.process.namespace }

  /// Whom this rank's process can share memory with; nil for nobody. The one place that decides it: for the departure board of a host, and for
  /// the transport that moves data so.
  package var memoryDomain: MemoryDomain? {
    guard abilities.memoryObstacle.isEmpty else { return nil }
    return MemoryDomain(host: host, user: abilities.user, userNamespace: abilities.userNamespace)
  }

  /// Why two ranks cannot share memory, as the end of a sentence that names neither; nil when they can.
  package func obstacleToSharing(with other: RankFacts) -> String? {
    for rank in [self, other] where !rank.abilities.memoryObstacle.isEmpty {
      return "\(rank.description) cannot share memory (\(rank.abilities.memoryObstacle))"
    }
    if host.machine != other.host.machine {
      return "\(description) and \(other.description) are on different hosts"
    }
    if host != other.host {
      return "\(description) and \(other.description) are on one machine in different network namespaces"
    }
    if abilities.userNamespace != other.abilities.userNamespace {
      return "\(description) and \(other.description) are in different user namespaces"
    }
    if abilities.user != other.abilities.user {
      return "\(description) runs as user \(abilities.user) and \(other.description) as user \(other.abilities.user)"
    }
    return nil
  }
}

/// Ranks that are equal in this can map memory that one of them passes to another: the same machine and network namespace
/// (that of abstract Unix sockets), and the same user.
package struct MemoryDomain: Hashable, Sendable {
  package let host: HostIdentity
  package let user: UInt32
  package let userNamespace: UInt64
}

/// What a transport tells the other ranks of one that would use it: bytes that only this transport understands. Travels.
package struct TransportOffer: Hashable, Sendable {
  package let kind: TransportKind
  package let bytes: [UInt8]

  /// The most that one transport may say, and the most transports.
  package static let bytesMax = 2048
  package static let countMax = 16

  package init(_ kind: TransportKind, _ bytes: [UInt8]) {
    precondition(bytes.count <= Self.bytesMax, "the offer of transport \(kind.name) has more than \(Self.bytesMax) bytes")
    self.kind = kind
    self.bytes = bytes
  }
}
