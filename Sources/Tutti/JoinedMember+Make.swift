import TuttiBootstrap
import TuttiRDMA
import TuttiSharedMemory
import TuttiSchedule
import TuttiSystem
import TuttiTCP
import TuttiTransport

// Making members of joined ranks: what their links will need, from what all ranks know of each other.

extension JoinedMember {
  /// Makes the member that communicates as `membership`, and owns it from here on: when this throws, all its ranks have heard why.
  ///
  /// - Parameters:
  ///   - registered: The memory that this rank has registered before; nil to make the arena for it.
  ///   - isChecked: Whether the join has made sure that the choice of transports can be met.
  ///   - place: Takes this rank's place on its host.
  ///   - fabric: Gives this rank's RDMA devices. Asked when it has links that need them.
  static func make(
    _ membership: Membership, _ options: CommunicatorOptions, _ catalog: AlgorithmCatalog,
    registered: RegisteredMemory? = nil, isChecked: Bool = true, place: () throws(FailureReport) -> HostPlace,
    fabric: () throws(FailureReport) -> WatchedFabric
  ) throws(FailureReport) -> JoinedMember {
    let choice = LinkChoice(rank: membership.rank, members: membership.members, choice: options.transport)
    do throws(FailureReport) {
      if !isChecked { try choice.check(.current()) }
      return try activated(membership, choice, catalog, place(), registered, fabric)
    } catch {
      membership.report(error)
      membership.leave()
      throw error
    }
  }

  private static func activated(
    _ membership: Membership, _ choice: LinkChoice, _ catalog: AlgorithmCatalog, _ place: HostPlace,
    _ registered: RegisteredMemory?, _ openFabric: () throws(FailureReport) -> WatchedFabric
  ) throws(FailureReport) -> JoinedMember {
    let ends = try LinkEnds(choice, registered: registered, memoryNode: place.memoryNode, openFabric)
    let policy = AlgorithmPolicy(
      grouping: Grouping(rankCount: membership.rankCount), medium: choice.medium,
      processors: place.runningMin(membership.members),
      segmentBytesMax: smallestSegment(choice), catalog: catalog)
    let member = JoinedMember(membership: membership, choice: choice, ends: ends, policy: policy, place: place)
    member.activate(
      doorbell: member.doorbell, isOversubscribed: place.isOversubscribed(membership.members[membership.rank].host),
      processors: place.processors)
    return member
  }

  /// The largest segment that every link of the communicator carries: from what all ranks know, so equal on all of them.
  private static func smallestSegment(_ choice: LinkChoice) -> Int {
    var sizes = choice.sharedMemory.groupSizes.map { SharedMemoryGeometry(rankCount: $0).windowBytes }
    if choice.someUseRDMA { sizes.append(RDMAEndpoint.segmentBytesMax(rankCount: choice.members.count)) }
    return sizes.reduce(tcpSegmentBytesMax, min)
  }
}

/// What this rank's links need beside sockets. Nothing of it is made that no link will use.
struct LinkEnds {
  /// What peers reach in place; nil where there are none, or it could not be made.
  let memory: RegisteredMemory?
  /// Why there is no registered memory though there are peers for it.
  let registrationFailure: FailureReport?
  /// nil where no other rank shares memory with this one.
  let sharedMemory: SharedMemoryEndpoint?
  let doorbell: Doorbell
  /// nil where this rank has no links over RDMA.
  let rdma: RDMAEnd?

  /// - Parameters:
  ///   - registered: As of ``JoinedMember/make(_:_:_:registered:isChecked:place:fabric:)``.
  ///   - memoryNode: The node to take shared memory from; nil for that of whoever touches it first.
  init(
    _ choice: LinkChoice, registered: RegisteredMemory?, memoryNode: Int?,
    _ openFabric: () throws(FailureReport) -> WatchedFabric
  ) throws(FailureReport) {
    let fabric = choice.usesRDMA ? try openFabric() : nil
    let sharing = choice.sharedMemory.sharing
    (memory, registrationFailure) =
      sharing.isEmpty && fabric == nil ? (nil, nil) : Self.makeMemory(registered, ranksOnHost: sharing.count)
    if let place = sharing.firstIndex(of: choice.rank) {
      let endpoint = try SharedMemoryEndpoint(
        rank: choice.rank, localIndex: place, geometry: SharedMemoryGeometry(rankCount: sharing.count), registered: memory,
        memoryNode: memoryNode)
      (sharedMemory, doorbell) = (endpoint, endpoint.doorbell)
    } else {
      (sharedMemory, doorbell) = (nil, try Doorbell())
    }
    if let fabric {
      rdma = try RDMAEnd(
        fabric, rank: choice.rank, rankCount: choice.members.count, doorbell: doorbell, memory: memory)
    } else {
      rdma = nil
    }
  }

  /// Nothing but `allocate` needs it, so failing to make it is news for who calls that.
  private static func makeMemory(
    _ registered: RegisteredMemory?, ranksOnHost: Int
  ) -> (RegisteredMemory?, FailureReport?) {
    if let registered { return (registered, nil) }
    do throws(FailureReport) { return (try RegisteredMemory(ranksOnHost: ranksOnHost), nil) } catch { return (nil, error) }
  }
}
