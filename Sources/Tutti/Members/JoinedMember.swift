import TuttiBootstrap
import TuttiChoice
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// A rank that found the others through the rendezvous, or in a communicator that was split.
final class JoinedMember: CommunicatorMember, SplittingMember, @unchecked Sendable {
  // @unchecked: adds immutable state to its superclass.

  private let membership: Membership
  private let offered: OfferedTransports
  private let links: PeerLinks
  private let place: HostPlace

  override var memoryTransport: String { links.memoryTransport }
  override var deviceTransport: String? { links.deviceTransport }
  override var addresses: [SocketAddress] { membership.members[rank].addresses }

  private init(
    _ membership: Membership, _ offered: OfferedTransports, _ links: PeerLinks, _ layout: JobLayout,
    _ policy: AlgorithmPolicy, _ place: HostPlace
  ) {
    self.membership = membership
    self.offered = offered
    self.links = links
    self.place = place
    super.init(
      rank: membership.rank, controlPlane: membership, layout: layout, policy: policy,
      registeredMemory: links.memory, registrationFailure: links.registrationFailure)
  }

  /// Makes the member that communicates as `membership`. The membership is the member's from here on: when this throws, all
  /// its ranks have heard why.
  ///
  /// - Parameters:
  ///   - choice: Which transport leads to which rank.
  ///   - layout: The groups of the ranks.
  ///   - tuning: Returns what is known of the machines, for ranks of a shape.
  ///   - registered: The memory that this rank has registered before; nil to make the arena for it.
  ///   - isChecked: Whether the join has made sure that the choice of transports can be met.
  ///   - origin: Where the rank's place on its host comes from.
  static func make(
    _ membership: Membership, _ choice: LinkChoice, _ layout: JobLayout, _ offered: OfferedTransports,
    _ catalog: AlgorithmCatalog, tuning: (JobShape) -> Tuning, registered: RegisteredMemory? = nil, isChecked: Bool = true,
    place origin: HostPlace.Origin
  ) throws(FailureReport) -> JoinedMember {
    do throws(FailureReport) {
      if !isChecked { try OfferedTransports.checkLinks(choice) }
      let place = try HostPlace.find(membership, origin)
      let links = try PeerLinks(
        membership, choice, offered, registered: registered, memoryNode: place.memoryNode)
      let processors = place.runningMin(membership.members)
      let known = tuning(JobShape(layout.grouping, medium: choice.medium, processors: processors))
      let policy = AlgorithmPolicy(
        grouping: layout.grouping, medium: choice.medium, processors: processors,
        segmentBytesMax: choice.segmentBytesMax(limit: AlgorithmPolicy.segmentBytesMax), catalog: catalog, tuning: known,
        terms: layout.terms(
          outer: choice.medium, inner: choice.medium(inside: layout.innermostGroups), processors: processors,
          hostProcessors: place.hostProcessors(membership.members), profile: known.profile))
      let member = JoinedMember(membership, offered, links, layout, policy, place)
      member.activate(
        links: links, doorbell: links.doorbell, waiting: links.waiting,
        load: place.load(of: membership.members[membership.rank].host), processors: place.processors)
      return member
    } catch {
      membership.report(error)
      membership.leave()
      throw error
    }
  }

  override func accept(from peer: Int, _ kind: TransportKind, _ connection: consuming Connection) {
    links.accept(from: peer, kind, connection)
  }

  // MARK: Splitting

  var sharesOutcomes: Bool { true }

  func makeSplitOffer() throws(FailureReport) -> SplitOffer { try membership.makeSplitOffer() }

  func split(
    _ offer: SplitOffer, _ group: SplitGroup, deadline: UInt64
  ) throws(FailureReport) -> any SplittingMember {
    let child = try membership.split(offer, ranks: group.ranks, places: group.places, deadline: deadline)
    // The same catalog, because it knows which algorithms are proven already.
    return try Self.make(
      child, offered.choice(rank: child.rank, child.members), layout.restricted(to: group.ranks), offered,
      planner.policy.catalog, tuning: { [tuning = planner.policy.tuning] _ in tuning },
      registered: registeredMemory, isChecked: false, place: .parent(place))
  }

  override func closeTransports() { links.close() }
}
