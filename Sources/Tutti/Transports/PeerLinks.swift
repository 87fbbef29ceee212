import TuttiBootstrap
import TuttiEngine
import TuttiSystem
import TuttiTransport

/// The links of one joined rank: an end for each transport that it uses, and over which of them each peer is dialed or
/// answered. The higher of two ranks opens their link when a plan first needs it.
final class PeerLinks: LinkSource {
  private let membership: Membership
  /// Which transport leads to which rank.
  let choice: LinkChoice
  /// The transports of this rank's links, the preferred first, and its ends of them.
  private let used: [any Transport]
  private let ends: [TransportKind: any TransportEnd]
  let doorbell: Doorbell
  /// The memory that peers reach in place; nil where there are no such peers, or it could not be made.
  let memory: RegisteredMemory?
  /// Why there is no registered memory though there are peers for it.
  let registrationFailure: FailureReport?

  private struct State {
    /// Peers whose link exists or is being made.
    var known: Set<Int> = []
    /// When a peer was first seen to have left without a link.
    var missing: [Int: UInt64] = [:]
    var failure: FailureReport?
    var isClosed = false
  }
  private let state = Lock(State())

  /// Makes the ends of the transports that this rank uses, and of no others.
  ///
  /// - Parameters:
  ///   - registered: The memory that this rank has registered before; nil to make the arena for it.
  ///   - memoryNode: The NUMA node for memory that peers read; nil for that of the thread that touches it first.
  init(
    _ membership: Membership, _ choice: LinkChoice, _ offered: OfferedTransports, registered: RegisteredMemory?,
    memoryNode: Int?
  ) throws(FailureReport) {
    self.membership = membership
    self.choice = choice
    used = Self.used(choice)
    (memory, registrationFailure) = Self.makeMemory(used, choice, registered)
    let place = EndPlace(choice: choice, registered: memory, memoryNode: memoryNode) {
      (descriptor, handler) throws(FailureReport) -> any WatchedDescriptor in try DescriptorWatch(descriptor, handler)
    }
    var ends: [TransportKind: any TransportEnd] = [:]
    do throws(FailureReport) {
      for transport in used { ends[transport.kind] = try offered.access(transport.kind).makeEnd(place) }
      let own = ends.values.compactMap(\.doorbell)
      precondition(own.count < 2, "two transports have a doorbell of their own, and a rank can wait for one")
      if let first = own.first { doorbell = first } else { doorbell = try Doorbell() }
      for end in ends.values { try end.start(doorbell) }
    } catch {
      for end in ends.values { end.close() }
      throw error
    }
    self.ends = ends
  }

  private static func used(_ choice: LinkChoice) -> [any Transport] {
    let kinds = Set(choice.ranks.indices.filter { $0 != choice.rank }.compactMap { choice.transport(to: $0)?.kind })
    return choice.transports.filter { kinds.contains($0.kind) }
  }

  /// Only `allocate` and `register` need the memory, so failing to make it is an error only of those calls.
  private static func makeMemory(
    _ used: [any Transport], _ choice: LinkChoice, _ registered: RegisteredMemory?
  ) -> (RegisteredMemory?, FailureReport?) {
    if used.allSatisfy({ $0.memory == .none }) { return (nil, nil) }
    if let registered { return (registered, nil) }
    let mapping = used.filter { $0.memory == .mapped }.map { choice.group(over: $0.kind).count }.max() ?? 0
    do throws(FailureReport) { return (try RegisteredMemory(ranksOnHost: mapping), nil) } catch { return (nil, error) }
  }

  // MARK: What the links are like

  var waiting: WaitingHints { used.reduce(WaitingHints()) { $0.union($1.waiting) } }

  /// The name of the first transport that uses registered memory; empty where none does.
  var memoryTransport: String { used.first { $0.memory != .none }?.kind.name ?? "" }

  /// The name of the transport whose devices reach memory of the caller's own; nil where there is none.
  var deviceTransport: String? { used.first { $0.memory == .devices }?.kind.name }

  // MARK: Links

  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {
    let rank = choice.rank
    guard rank > peer, state.withLock({ $0.known.insert(peer).inserted }) else { return }
    guard let transport = choice.transport(to: peer), let end = ends[transport.kind] else {
      throw FailureReport(
        .configuration, rank: rank, peer: peer, "no transport leads from rank \(rank) to rank \(peer)",
        advice: "Choose the transport auto or tcp")
    }
    do throws(FailureReport) {
      let connection = try membership.connect(to: peer, for: transport.kind, over: transport.connection, deadline: deadline)
      try end.dial(peer, over: connection, deadline: deadline, giveUp: giveUp)
    } catch { throw error.about(rank: rank, peer: peer) }
  }

  /// Answers a peer that has dialed this rank for a link. Runs on the service thread, so it must not block.
  func accept(from peer: Int, _ kind: TransportKind, _ connection: consuming Connection) {
    // Both ends know from the table of ranks which transport connects them.
    guard peer > choice.rank, let transport = choice.transport(to: peer), transport.kind == kind, let end = ends[kind] else {
      return
    }
    // Memory is shared with processes of this user alone, whatever the others have proven.
    if transport.connection == .ownUser, !Sockets.isOfOwnUser(connection.raw) { return }
    let isNew = state.withLock { $0.known.insert(peer).inserted && !$0.isClosed }
    guard isNew else { return }
    do throws(FailureReport) { try end.answer(peer, over: connection) } catch {
      let report = error.about(rank: choice.rank, peer: peer)
      state.withLock { $0.failure = $0.failure ?? report }
    }
    doorbell.ring()
  }

  func takeLinks() throws(FailureReport) -> [Link] {
    if let failure = state.withLock({ $0.failure }) { throw failure }
    let (links, failure) = Self.takeLinks(of: Array(ends.values))
    guard let failure else { return links }
    // The engine gets the links that there are, and the failure when it asks again.
    state.withLock { $0.failure = $0.failure ?? failure }
    if links.isEmpty { throw failure }
    return links
  }

  /// A link that a peer opened before it left may still be on its way through this process.
  func absence(of peer: Int) -> FailureReport? {
    guard membership.hasDeparted(peer) else { return nil }
    let now = monotonicNanoseconds()
    let isGone = state.withLock { state in
      guard !state.known.contains(peer) else { return false }
      let since = state.missing[peer] ?? now
      state.missing[peer] = since
      return now - since >= Clock.second
    }
    guard isGone else { return nil }
    return FailureReport(
      .peerLost, rank: choice.rank, peer: peer, "rank \(peer) has closed its communicator, and opened no link before",
      advice: "All ranks must make the same calls before any of them closes")
  }

  /// The links of all ends, and the first failure. No link is dropped because of another end's failure: that would close it,
  /// and its peer would report this rank as lost instead of the cause.
  static func takeLinks(of ends: [any TransportEnd]) -> (links: [Link], failure: FailureReport?) {
    var links: [Link] = []
    var failure: FailureReport?
    for end in ends {
      do throws(FailureReport) { try end.takeLinks(into: &links) } catch { failure = failure ?? error }
    }
    return (links, failure)
  }

  /// Gives up everything but the links that were taken. Idempotent.
  func close() {
    state.withLock { $0.isClosed = true }
    for end in ends.values { end.close() }
  }
}

extension FailureReport {
  /// The same failure, saying which link it is about where a lower layer could not.
  fileprivate func about(rank: Int, peer: Int) -> FailureReport {
    if self.peer >= 0 { return self }
    return with(rank: rank, peer: peer, message: "opening the link to rank \(peer) failed: \(message)")
  }
}
