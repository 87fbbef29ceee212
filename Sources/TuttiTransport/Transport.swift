import TuttiSystem
import TuttiTopology

// What a transport is. It consists of a `Transport`, which describes it and decides which ranks can use it, a
// `TransportAccess`, which holds what a process found of it when it joined, and for each communicator a `TransportEnd`,
// which makes links. A module implements them, a list names it, and the conformance suite holds its links to their contract;
// nothing else knows it by name. See `docs/decisions/0018-transports.md`.

/// A way to move bytes between ranks that this build has, whether or not this host can use it.
///
/// What is said of ranks here is a pure function of what all ranks know of each other, so that all decide alike.
package protocol Transport: Sendable {
  /// Its name, by which users ask for it and ranks tell each other of it.
  var kind: TransportKind { get }
  /// The kind of connection to a peer's listener that its links begin with.
  var connection: ConnectionWay { get }
  /// What it does with registered memory.
  var memory: RegisteredMemoryUse { get }
  /// Whether nobody on the network can read what its links carry, where TLS is asked for: it stays in the host, or goes over
  /// the connection that a link begins with, which is encrypted.
  var isConfidential: Bool { get }
  /// How to wait for its links.
  var waiting: WaitingHints { get }

  /// The medium whose costs its messages have.
  ///
  /// - Parameter isOneHost: Whether all ranks of the communicator are on one host.
  func medium(isOneHost: Bool) -> Medium

  // MARK: This process

  /// Reads the transport's settings and looks at what this process has of it. Called once, before the process joins.
  ///
  /// - Throws: `.configuration` when a setting is wrong. It is no error here that something cannot be used; the other ranks
  ///   are told of it.
  func open(_ request: TransportRequest) throws(FailureReport) -> any TransportAccess

  /// Reports what this host has of it, for people who want to know.
  func report(_ environment: [String: String]) -> TransportReport

  // MARK: All ranks

  /// The grounds on which a rank can be met. Two ranks can use the transport with each other when they have a ground in
  /// common. They depend on the rank's host, abilities and offers alone: ranks that are alike in these are asked about once.
  ///
  /// - Parameter isNamed: Whether the transport was asked for by name, and nothing else will do.
  /// - Returns: Nothing for a rank that does not offer it.
  func grounds(of rank: RankFacts, isNamed: Bool) -> Set<TransportGround>

  /// The largest segment that all of its links carry.
  func segmentBytesMax(_ use: TransportUse) -> Int

  /// Checks what has to hold before links are made.
  ///
  /// - Throws: `.configuration`, the same on all ranks, when the transport was asked for by name and two ranks cannot use
  ///   it; `.resources` when this process may not take what its links to the others will need.
  func check(_ choice: LinkChoice, _ limits: () -> ResourceLimits) throws(FailureReport)

  /// What this rank tells people about the transport: who does without it, and why. It is one sentence for each cause, and
  /// the lowest rank concerned says it for all.
  func notices(_ choice: LinkChoice) -> [String]
}

/// What a transport has of this process. The communicators that are split from one another share it.
package protocol TransportAccess: Sendable {
  /// What the other ranks must know. It is opaque to all but this transport. At most ``TransportOffer/bytesMax`` bytes.
  var offer: [UInt8] { get }
  /// The failure where the environment asks for something that cannot be had. It is an error for all ranks, even where
  /// another transport would do.
  var failure: FailureReport? { get }
  /// Makes this rank's end of one communicator's links. Asked only where it has such links.
  func makeEnd(_ place: EndPlace) throws(FailureReport) -> any TransportEnd
}

extension TransportAccess {
  package var failure: FailureReport? { nil }
}

/// One rank's half of all links of one communicator over one transport.
///
/// Threads: ``answer(_:over:)`` is called on the service thread and must not block, ``takeLinks(into:)`` under the engine's
/// lock, the others on callers' threads.
package protocol TransportEnd: AnyObject, Sendable {
  /// A doorbell that peers ring in the transport's own way; nil where any will do.
  var doorbell: Doorbell? { get }

  /// Takes the rank's doorbell, which links and their makers ring. Called once, before anything else.
  func start(_ doorbell: Doorbell) throws(FailureReport)

  /// Opens the link to a peer, which answers on the other end of `connection`. Blocks until the deadline at most. The link
  /// comes with ``takeLinks(into:)``.
  ///
  /// - Parameters:
  ///   - connection: Connected as ``Transport/connection`` says, and authenticated.
  ///   - deadline: Monotonic nanoseconds.
  ///   - giveUp: Asked now and then; what it returns is thrown.
  func dial(
    _ peer: Int, over connection: consuming Connection, deadline: UInt64, giveUp: () -> FailureReport?
  ) throws(FailureReport)

  /// Answers a peer that opens its link. The link comes with ``takeLinks(into:)``, at once or when the peer has done its
  /// part; if later, the end rings the doorbell.
  func answer(_ peer: Int, over connection: consuming Connection) throws(FailureReport)

  /// Appends the links that were opened since the last call. Must not block.
  ///
  /// Those that it has appended are the caller's even when it throws: none is dropped, which would close it and let its peer
  /// take this rank for one that has left.
  func takeLinks(into links: inout [Link]) throws(FailureReport)

  /// Gives up everything but the links that were taken. Idempotent.
  func close()
}

extension TransportEnd {
  package var doorbell: Doorbell? { nil }
}

// MARK: Values

/// The kind of connection to a peer's listener that a link begins with.
package enum ConnectionWay: Sendable {
  /// TCP, also between ranks of one host, because the connection itself carries the data.
  case network
  /// A Unix socket to a process of this user on the same host, because descriptors are passed over it.
  case ownUser
  /// Whichever of the two leads to the peer.
  case any
}

/// What a transport does with a rank's registered memory.
package enum RegisteredMemoryUse: Sendable {
  case none
  /// The peers of the host map it.
  case mapped
  /// Devices are told of it, and of the caller's own memory too.
  case devices
}

/// Tells a transport who joins, when it looks at what this host has.
package struct TransportRequest: Sendable {
  package let environment: [String: String]
  package let rank: Int
  package let rankCount: Int

  package init(environment: [String: String], rank: Int, rankCount: Int) {
    self.environment = environment
    self.rank = rank
    self.rankCount = rankCount
  }
}

/// How many ranks meet over a transport, for what depends on it alone: equal on all ranks.
package struct TransportUse: Sendable {
  package let rankCount: Int
  /// How many ranks have a ground in common, for each ground of two ranks or more.
  package let groupSizes: [Int]

  package init(rankCount: Int, groupSizes: [Int]) {
    self.rankCount = rankCount
    self.groupSizes = groupSizes
  }
}

/// Where a rank can be met over a transport, as a value that only this transport understands.
package struct TransportGround: Hashable, Sendable {
  private let value: any (Hashable & Sendable)

  package init(_ value: some Hashable & Sendable) { self.value = value }

  package static func == (left: TransportGround, right: TransportGround) -> Bool {
    AnyHashable(left.value) == AnyHashable(right.value)
  }

  package func hash(into hasher: inout Hasher) { value.hash(into: &hasher) }
}

/// What the end of a communicator's links is made from.
package struct EndPlace: Sendable {
  /// Calls a handler on the service thread whenever a descriptor is readable, has an error or was hung up, until the result
  /// is cancelled or let go. The handler must not block, and may still run once while another thread cancels.
  package typealias Watch =
    @Sendable (Int32, @escaping @Sendable () -> Void) throws(FailureReport) -> any WatchedDescriptor

  /// Who the ranks are, and which transport connects this one to whom.
  package let choice: LinkChoice
  /// The memory of this rank that peers reach; nil where none could be made.
  package let registered: RegisteredMemory?
  /// The NUMA node for memory that peers read; nil for that of the thread that touches it first.
  package let memoryNode: Int?
  package let watch: Watch

  package var rank: Int { choice.rank }

  package init(choice: LinkChoice, registered: RegisteredMemory?, memoryNode: Int?, watch: @escaping Watch) {
    self.choice = choice
    self.registered = registered
    self.memoryNode = memoryNode
    self.watch = watch
  }
}

/// A descriptor that is being watched.
package protocol WatchedDescriptor: AnyObject, Sendable {
  /// Forgets the descriptor, before it is closed. Idempotent; any thread.
  func cancel()
}
