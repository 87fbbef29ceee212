import TuttiSystem
import TuttiTopology

/// What every rank knows of every other once they have met, as far as transports may use it to judge.
package struct RankFacts: Hashable, Sendable {
  package var rank: Int
  package var process: ProcessIdentity
  package var host: HostIdentity
  /// What the rank's process may do there.
  package var abilities: HostAbilities
  /// What each transport that it would use tells the others; transports that it does not offer are missing.
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

  /// The domain of ranks that this rank's process can share memory with; nil if it can with none. It decides for the
  /// departure board of a host and for the shared memory transport alike.
  package var memoryDomain: MemoryDomain? {
    guard abilities.memoryObstacle.isEmpty else { return nil }
    return MemoryDomain(host: host, user: abilities.user, userNamespace: abilities.userNamespace)
  }

  package func sharesMemory(with other: RankFacts) -> Bool {
    guard let domain = memoryDomain else { return false }
    return domain == other.memoryDomain
  }

  /// Why two ranks cannot share memory, as a clause that names them; nil when they can.
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

/// Ranks whose domains are equal can map memory that one of them passes to another: they are on the same machine and network
/// namespace (that of abstract Unix sockets), and run as the same user.
package struct MemoryDomain: Hashable, Sendable {
  package let host: HostIdentity
  package let user: UInt32
  package let userNamespace: UInt64
}

/// What a transport on one rank tells the other ranks: bytes that only this transport understands.
package struct TransportOffer: Hashable, Sendable {
  package let kind: TransportKind
  package let bytes: [UInt8]

  /// The most bytes that one transport may say.
  package static let bytesMax = 2048
  /// The most transports that a rank may offer.
  package static let countMax = 16

  package init(_ kind: TransportKind, _ bytes: [UInt8]) {
    precondition(bytes.count <= Self.bytesMax, "the offer of transport \(kind.name) has more than \(Self.bytesMax) bytes")
    self.kind = kind
    self.bytes = bytes
  }
}
