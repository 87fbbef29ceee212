// Who waits for whom, segment by segment, when all ranks execute their plans with a credit of one segment.
//
// An event is the execution of one segment of one step of one rank: a send hands it to its links, a receive or combine
// consumes what arrived. The graph has an edge for everything that an engine may wait for, and no event waits for anything
// else, so that no cycle means no deadlock. Flat arrays throughout: a job of 64 ranks has a hundred thousand events.

/// Why an event waits for another.
enum Wait: UInt8 {
  /// Bytes written or read by an earlier step of the same rank.
  case data
  /// The receivers have consumed what the event overwrites.
  case release
  /// The step before it in its queue, or the segment before it in its step.
  case queue
  /// The order of messages on a lane that is not the step's own queue.
  case order
  /// The segment that it consumes.
  case message
  /// The receiver has consumed the previous segment on the lane.
  case credit
}

struct EventGraph {
  let plans: [Plan]
  /// Segments of all steps, and after them one event for each segment sent to several peers: that all have consumed it.
  private(set) var eventCount = 0
  /// Events that are segments.
  private(set) var segmentCount = 0
  /// Number of a rank's first step among the steps of all ranks; one entry more than ranks.
  private(set) var stepBase: [Int] = [0]
  /// By step: number of its first event; one entry more than steps.
  private(set) var eventBase: [Int] = [0]
  /// By event that is a segment: its step among the steps of all ranks.
  private(set) var stepOfEvent: [Int32] = []
  /// By step among the steps of all ranks.
  private(set) var rankOfStep: [Int32] = []
  /// By step: number of the first event that says that all peers have consumed a segment; -1 where there is one peer.
  private var consumedBase: [Int] = []
  /// By step: for a send that a combine feeds at once, storing nothing, how many events the combine's event comes before the
  /// send's; 0 for all other steps.
  private var combineDistance: [Int32] = []

  /// By lane, then place on it: the event that sends, and the one that consumes. Equally many, by the schedules' proof.
  private(set) var laneSends: [Int32] = []
  private var laneConsumes: [Int32] = []
  private var laneBase: [Int] = []
  /// The number of each lane that is used, by its ``laneKey(_:_:_:)``: in a large job, few of all pairs of ranks use one.
  private var laneNumbers: [Int: Int] = [:]
  /// By rank, then index in the plan's `peers` and `sources`: place of the message's first segment in `laneSends`.
  private(set) var peerPlace: [[Int]] = []
  private(set) var sourcePlace: [[Int]] = []

  private(set) var froms: [Int32] = []
  private(set) var tos: [Int32] = []
  private(set) var kinds: [Wait] = []
  private var successorBase: [Int] = []
  private var successors: [Int32] = []

  var edgeCount: Int { froms.count }

  init(_ plans: [Plan]) {
    self.plans = plans
    numberEvents()
    numberLanes()
    // About as many as there are: one in a queue, one of data and two on a lane.
    let edges = segmentCount + 2 * laneSends.count + segmentCount / 2
    froms.reserveCapacity(edges)
    tos.reserveCapacity(edges)
    kinds.reserveCapacity(edges)
    for rank in plans.indices {
      addQueues(rank)
      addDependencies(rank)
    }
    addLanes()
    indexSuccessors()
  }

  // MARK: Numbering

  private mutating func numberEvents() {
    for (rank, plan) in plans.enumerated() {
      for step in plan.steps {
        stepOfEvent.append(contentsOf: repeatElement(Int32(rankOfStep.count), count: Int(step.segmentCount)))
        rankOfStep.append(Int32(rank))
        eventBase.append(stepOfEvent.count)
      }
      stepBase.append(rankOfStep.count)
    }
    segmentCount = stepOfEvent.count
    eventCount = segmentCount
    for plan in plans {
      for step in plan.steps {
        let shared = step.kind == .send && step.peers.count > 1
        consumedBase.append(shared ? eventCount : -1)
        // The send is the step after its combine, and has as many segments.
        combineDistance.append(step.forwarded && step.kind == .send && step.bytes > 0 ? Int32(step.segmentCount) : 0)
        if shared { eventCount += Int(step.segmentCount) }
      }
    }
  }

  /// The lane of a channel from one rank to another, among all lanes that are used.
  private func lane(_ from: Int, _ to: Int, _ channel: UInt8) -> Int {
    // Every message that is received is sent.
    laneNumbers[laneKey(from, to, channel)]!
  }

  private func laneKey(_ from: Int, _ to: Int, _ channel: UInt8) -> Int {
    (from * plans.count + to) * Channel.laneCount + Channel.lane(Int(channel))
  }

  /// Numbers the segments on each lane, in the order in which they are sent and the order in which they are consumed.
  private mutating func numberLanes() {
    var sent: [Int: Int] = [:]
    for (rank, plan) in plans.enumerated() {
      for step in plan.steps where step.kind == .send {
        for peer in step.peers {
          sent[laneKey(rank, Int(plan.peers[Int(peer)]), step.channel), default: 0] += Int(step.segmentCount)
        }
      }
    }
    laneBase.reserveCapacity(sent.count + 1)
    var total = 0
    for key in sent.keys.sorted() {
      laneNumbers[key] = laneBase.count
      laneBase.append(total)
      total += sent[key]!
    }
    laneBase.append(total)
    laneSends = Array(repeating: -1, count: total)
    laneConsumes = Array(repeating: -1, count: total)
    var nextSend = laneBase
    var nextConsume = laneBase
    for (rank, plan) in plans.enumerated() {
      peerPlace.append(Array(repeating: -1, count: plan.peers.count))
      sourcePlace.append(Array(repeating: -1, count: plan.sources.count))
      for (index, step) in plan.steps.enumerated() {
        let first = eventBase[stepBase[rank] + index]
        let count = Int(step.segmentCount)
        for entry in step.peers {
          let peer = Int(plan.peers[Int(entry)])
          if step.kind == .send {
            let place = place(lane(rank, peer, step.channel), &nextSend, count)
            peerPlace[rank][Int(entry)] = place
            for segment in 0..<count { laneSends[place + segment] = Int32(first + segment) }
          } else {
            let place = place(lane(peer, rank, step.channel), &nextConsume, count)
            peerPlace[rank][Int(entry)] = place
            for segment in 0..<count { laneConsumes[place + segment] = Int32(first + segment) }
          }
        }
        for entry in step.sources where plan.sources[Int(entry)].kind == .slot {
          let place = place(lane(Int(plan.sources[Int(entry)].peer), rank, step.channel), &nextConsume, count)
          sourcePlace[rank][Int(entry)] = place
          for segment in 0..<count { laneConsumes[place + segment] = Int32(first + segment) }
        }
      }
    }
  }

  private func place(_ lane: Int, _ next: inout [Int], _ count: Int) -> Int {
    defer { next[lane] += count }
    return next[lane]
  }

  // MARK: Edges

  private mutating func add(_ from: Int, _ to: Int, _ kind: Wait) {
    froms.append(Int32(truncatingIfNeeded: from))
    tos.append(Int32(truncatingIfNeeded: to))
    kinds.append(kind)
  }

  /// Adds a wait of a send. A combine that feeds the send at once, storing nothing, waits for all that the send waits for.
  private mutating func addForSend(_ from: Int, _ to: Int, _ kind: Wait) {
    add(from, to, kind)
    let distance = Int(combineDistance[Int(stepOfEvent[to])])
    if distance > 0, from != to - distance { add(from, to - distance, kind) }
  }

  private mutating func addQueues(_ rank: Int) {
    let plan = plans[rank]
    for queue in plan.queues {
      var last = -1
      for entry in queue {
        let step = stepBase[rank] + Int(plan.queueSteps[Int(entry)])
        for event in eventBase[step]..<eventBase[step + 1] {
          if last >= 0 { addForSend(last, event, .queue) }
          last = event
        }
      }
    }
  }

  private mutating func addDependencies(_ rank: Int) {
    let plan = plans[rank]
    for (index, step) in plan.steps.enumerated() {
      let first = eventBase[stepBase[rank] + index]
      for entry in step.edges {
        let edge = plan.edges[Int(entry)]
        let other = stepBase[rank] + Int(edge.step)
        if edge.kind == .completed {
          addForSend(eventBase[other + 1] - 1, first, .order)
          continue
        }
        var reached = 0
        var end: UInt64 = 0
        for segment in 0..<Int(step.segmentCount) {
          end += UInt64(plan.segmentBytes)
          guard end > edge.lower else { continue }
          let position = UInt64(Int64(min(end, edge.upper)) + edge.delta)
          // Segments all have the same size here, so a position is a number of segments. A segment waits for what the one
          // before it in its step waited for anyway.
          let needed = Int(position) / plan.segmentBytes
          guard needed > reached else { continue }
          reached = needed
          if edge.kind == .executed {
            addForSend(eventBase[other] + needed - 1, first + segment, .data)
          } else {
            addRelease(rank, Int(edge.step), needed - 1, first + segment)
          }
        }
      }
    }
  }

  private mutating func addRelease(_ rank: Int, _ step: Int, _ segment: Int, _ event: Int) {
    let send = plans[rank].steps[step]
    let global = stepBase[rank] + step
    if send.copied {
      add(eventBase[global] + segment, event, .data)
    } else if consumedBase[global] >= 0 {
      add(consumedBase[global] + segment, event, .release)
    } else {
      let place = peerPlace[rank][Int(send.peers.lowerBound)]
      add(Int(laneConsumes[place + segment]), event, .release)
    }
  }

  private mutating func addLanes() {
    for lane in 0..<laneBase.count - 1 {
      for place in laneBase[lane]..<laneBase[lane + 1] {
        let send = Int(laneSends[place])
        let consume = Int(laneConsumes[place])
        add(send, consume, .message)
        var free = consume
        let step = Int(stepOfEvent[send])
        if consumedBase[step] >= 0 {
          // Shared memory has one window for all peers of a send, so no link of it is free before all have read it.
          free = consumedBase[step] + send - eventBase[step]
          add(consume, free, .message)
        }
        if place + 1 < laneBase[lane + 1] { addForSend(free, Int(laneSends[place + 1]), .credit) }
      }
    }
  }

  private mutating func indexSuccessors() {
    (successorBase, successors) = EventGraph.index(froms, tos, eventCount)
  }

  /// Groups `values` by `keys`: those of key k are at `base[k]..<base[k + 1]`.
  static func index(_ keys: [Int32], _ values: [Int32], _ count: Int) -> (base: [Int], values: [Int32]) {
    var base = Array(repeating: 0, count: count + 1)
    for key in keys { base[Int(key) + 1] += 1 }
    for key in 0..<count { base[key + 1] += base[key] }
    var next = base
    var grouped = Array(repeating: Int32(0), count: values.count)
    for (key, value) in zip(keys, values) {
      grouped[next[Int(key)]] = value
      next[Int(key)] += 1
    }
    return (base, grouped)
  }

  // MARK: Order

  /// All events, each after those it waits for; nil when there is a cycle.
  func topologicalOrder() -> [Int32]? {
    let order = reachableOrder()
    return order.count == eventCount ? order : nil
  }

  /// The events that no cycle holds up, each after those it waits for. The latest to become possible goes first: ranks run
  /// ahead as far as their dependencies let them.
  func reachableOrder() -> [Int32] {
    var waits = Array(repeating: Int32(0), count: eventCount)
    for to in tos { waits[Int(to)] += 1 }
    var ready: [Int32] = []
    for event in 0..<eventCount where waits[event] == 0 { ready.append(Int32(event)) }
    var order: [Int32] = []
    order.reserveCapacity(eventCount)
    while let event = ready.popLast() {
      order.append(event)
      for index in successorBase[Int(event)]..<successorBase[Int(event) + 1] {
        let next = successors[index]
        waits[Int(next)] -= 1
        if waits[Int(next)] == 0 { ready.append(next) }
      }
    }
    return order
  }
}
