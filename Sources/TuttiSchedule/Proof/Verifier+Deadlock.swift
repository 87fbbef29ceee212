// The counterexample of a deadlock: a shortest cycle of waits that can be found quickly, told as a chain.

extension Verifier {
  /// Cycles longer than this are told in part, so that they fit on a screen.
  private static let linesMax = 14

  func deadlock(_ graph: EventGraph) -> ProofFailure {
    let cycle = Cycle(graph)
    var lines: [String] = []
    for (event, wait) in zip(cycle.events, cycle.waits) {
      let reason =
        switch wait {
        case .data: "which must have gone before: it touches the same bytes"
        case .release: "which must have consumed what would be overwritten"
        case .queue: "which is before it on the same link"
        case .order: "which is before it on another of its links, or writes the chunk it follows"
        case .message: "which must happen for its message to be there"
        case .credit: "which must have consumed the segment before, to give credit"
        }
      lines.append(text(graph, event))
      lines.append("  waits for the next, \(reason)")
    }
    lines.append(text(graph, cycle.events[0]) + ", where this chain began")
    if lines.count > Verifier.linesMax {
      let dropped = (lines.count - Verifier.linesMax) / 2
      let head = Verifier.linesMax - 2
      lines.replaceSubrange(head..<head + dropped * 2, with: ["... \(dropped) more waits ..."])
    }
    let first = place(graph, cycle.events[0])
    return failure(
      .noDeadlock, rank: first.rank, step: first.origin, expected: "waits without a cycle, at a credit of one segment",
      found: "a cycle of \(cycle.events.count) waits", details: lines)
  }

  private func place(_ graph: EventGraph, _ event: Int32) -> (rank: Int, origin: Int, segment: Int) {
    let step = Int(graph.stepOfEvent[Int(event)])
    let rank = Int(graph.rankOfStep[step])
    let origin = Int(graph.plans[rank].steps[step - graph.stepBase[rank]].origin)
    return (rank, origin, Int(event) - graph.eventBase[step])
  }

  private func text(_ graph: EventGraph, _ event: Int32) -> String {
    guard Int(event) < graph.segmentCount else { return "all receivers of one segment sent to several" }
    let (rank, origin, segment) = place(graph, event)
    return "rank \(rank), step \(origin), segment \(segment): \(schedules[rank].text(ofStep: origin))"
  }

  /// A cycle among the events that can never happen: each waits for the next, and the last for the first.
  private struct Cycle {
    var events: [Int32] = []
    var waits: [Wait] = []

    init(_ graph: EventGraph) {
      var stuck = Array(repeating: true, count: graph.eventCount)
      for event in graph.reachableOrder() { stuck[Int(event)] = false }
      let edges = (0..<graph.edgeCount).map(Int32.init)
      let (base, incoming) = EventGraph.index(graph.tos, edges, graph.eventCount)
      /// The first wait of a stuck event for another stuck one: there always is one.
      func step(_ event: Int32) -> Int32 {
        let edge = incoming[base[Int(event)]..<base[Int(event) + 1]].first { stuck[Int(graph.froms[Int($0)])] }!
        return graph.froms[Int(edge)]
      }
      // Walk back until the walk meets itself: that event is on a cycle.
      var event = Int32(stuck.firstIndex(of: true)!)
      var seen = Array(repeating: false, count: graph.eventCount)
      while !seen[Int(event)] {
        seen[Int(event)] = true
        event = step(event)
      }
      // The shortest cycle through any of its events, within a bounded search; it begins with a segment.
      var start = event
      for _ in 0..<32 {
        let (found, kinds) = shortest(through: start)
        if Int(start) < graph.segmentCount, events.isEmpty || found.count < events.count {
          events = found
          waits = kinds
        }
        start = step(start)
      }

      func shortest(through start: Int32) -> ([Int32], [Wait]) {
        var via = Array(repeating: Int32(-1), count: graph.eventCount)
        var queue = [start]
        var head = 0
        search: while true {
          let event = queue[head]
          head += 1
          for edge in incoming[base[Int(event)]..<base[Int(event) + 1]] {
            let from = graph.froms[Int(edge)]
            guard stuck[Int(from)], via[Int(from)] < 0 else { continue }
            via[Int(from)] = edge
            if from == start { break search }
            queue.append(from)
          }
        }
        var events: [Int32] = []
        var kinds: [Wait] = []
        var event = start
        repeat {
          // `via` leads from an event to the one that waits for it.
          let edge = Int(via[Int(event)])
          kinds.append(graph.kinds[edge])
          event = graph.tos[edge]
          events.append(event)
        } while event != start
        return (events.reversed(), kinds.reversed())
      }
    }
  }
}
