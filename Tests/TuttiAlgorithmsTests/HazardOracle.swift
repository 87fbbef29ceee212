import TuttiSchedule

/// Finds, by brute force, two segments of one plan that touch the same bytes and that nothing orders.
///
/// Every segment is an event; a send's segment has a second one, its release. What must have happened before an event is
/// collected from queues and edges by their definition alone, as a set of events.
struct HazardOracle {
  private struct Access {
    var memory: Plan.Memory
    var bytes: Range<UInt64>
    var isWrite: Bool
  }

  private let plan: Plan
  private var firstEvent: [Int] = [0]
  private var ends: [UInt64] = []
  private var accesses: [[Access]] = []
  /// By event: all events that must have happened before. Releases are numbered after the segments.
  private var before: [Set<Int>] = []
  private var segmentCount = 0

  init(_ plan: Plan) {
    self.plan = plan
    for step in plan.steps {
      var cursor = Plan.SegmentCursor(step)
      while cursor.next(in: plan) {
        ends.append(cursor.end)
        var touched: [Access] = []
        if cursor.bytes > 0 {
          func access(_ first: Int32, _ isWrite: Bool) {
            let extent = plan.extents[Int(first + cursor.extent)]
            let start = extent.offset + cursor.offset
            touched.append(Access(memory: extent.memory, bytes: start..<start + cursor.bytes, isWrite: isWrite))
          }
          access(step.extents.lowerBound, step.kind != .send)
          for source in step.sources where plan.sources[Int(source)].kind == .memory {
            access(plan.sources[Int(source)].extent, false)
          }
        }
        accesses.append(touched)
      }
      firstEvent.append(ends.count)
    }
    segmentCount = ends.count
    collect()
  }

  private mutating func collect() {
    before = Array(repeating: [], count: segmentCount * 2)
    var previousInQueue = Array(repeating: -1, count: plan.steps.count)
    for queue in plan.queues {
      let steps = plan.queueSteps[Int(queue.lowerBound)..<Int(queue.upperBound)]
      for (step, next) in zip(steps, steps.dropFirst()) { previousInQueue[Int(next)] = Int(step) }
    }
    func require(_ event: Int, _ other: Int) {
      before[event].insert(other)
      before[event].formUnion(before[other])
    }
    for (index, step) in plan.steps.enumerated() {
      for event in firstEvent[index]..<firstEvent[index + 1] {
        if event > firstEvent[index] { require(event, event - 1) }
        if event == firstEvent[index], previousInQueue[index] >= 0 {
          require(event, firstEvent[previousInQueue[index] + 1] - 1)
        }
        for edge in step.edges.map({ plan.edges[Int($0)] }) {
          let other = Int(edge.step)
          precondition(other < index, "edges lead to earlier steps")
          if edge.kind == .completed {
            require(event, firstEvent[other + 1] - 1)
          } else if ends[event] > edge.lower {
            let position = UInt64(Int64(min(ends[event], edge.upper)) + edge.delta)
            let needed = (firstEvent[other]..<firstEvent[other + 1]).first { ends[$0] >= position }!
            require(event, edge.kind == .executed ? needed : needed + segmentCount)
          }
        }
        // A segment is released after it was sent, and segments are released in order.
        require(event + segmentCount, event)
        if event > firstEvent[index] { require(event + segmentCount, event - 1 + segmentCount) }
      }
    }
  }

  /// The first hazard that is not covered, in words, or nil.
  func uncovered() -> String? {
    for (index, step) in plan.steps.enumerated() {
      for event in firstEvent[index]..<firstEvent[index + 1] {
        for earlier in 0..<index {
          for other in firstEvent[earlier]..<firstEvent[earlier + 1] {
            let isSend = plan.steps[earlier].kind == .send
            for a in accesses[other] {
              for b in accesses[event] where a.memory == b.memory && (a.isWrite || b.isWrite) && a.bytes.overlaps(b.bytes) {
                guard before[event].contains(isSend ? other + segmentCount : other) else {
                  return
                    "step \(index) segment \(event - firstEvent[index]) (\(step.kind)) does not wait for step \(earlier) "
                    + "segment \(other - firstEvent[earlier]) at bytes \(a.bytes) of memory \(a.memory)\n\(plan)"
                }
              }
            }
          }
        }
      }
    }
    return unorderedLane()
  }

  /// Two messages of one lane and direction that could pass each other, in words, or nil.
  private func unorderedLane() -> String? {
    var last: [[Int32]: Int] = [:]
    for (index, step) in plan.steps.enumerated() {
      let isSend = step.kind == .send
      let peers =
        step.peers.map { plan.peers[Int($0)] }
        + step.sources.map { plan.sources[Int($0)] }.filter { $0.kind == .slot }.map(\.peer)
      for peer in peers {
        let lane = [isSend ? 1 : 0, peer, Int32(step.channel & 1)]
        if let other = last[lane], !before[firstEvent[index]].contains(firstEvent[other + 1] - 1) {
          return "steps \(other) and \(index) are not ordered on the lane with rank \(peer)\n\(plan)"
        }
        last[lane] = index
      }
    }
    return nil
  }
}
