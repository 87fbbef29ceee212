// Plans as people read them: for golden files, listings and bug reports.

extension Plan: CustomStringConvertible {
  /// One line a step: what it does, then in parentheses what it waits for, and its queue.
  package var description: String {
    var lines = [
      "rank \(rank) of \(rankCount): \(buffers[0].bytes) bytes in, \(buffers[1].bytes) out, segments of \(segmentBytes), "
        + "\(channelCount) channel\(channelCount == 1 ? "" : "s")"
        + buffers.dropFirst(2).map { ", scratch of \($0.bytes)" }.joined()
    ]
    for (index, step) in steps.enumerated() {
      var line = "\(index): queue \(step.queue), \(text(of: step))"
      if step.copied { line += ", copied" }
      if step.isBalanced { line += ", balanced" }
      if step.completes { line += ", completes" }
      if step.forwarded { line += ", forwarded" }
      if step.streaming { line += ", streaming" }
      if step.fusedSend >= 0 { line += ", fused with \(step.fusedSend)" }
      for edge in step.edges { line += "; \(text(of: edges[Int(edge)]))" }
      lines.append(line)
    }
    return lines.joined(separator: "\n")
  }

  private func text(of step: Step) -> String {
    let stream = text(step.extents)
    let ranks = step.peers.map { String(peers[Int($0)]) }.joined(separator: " ")
    switch step.kind {
    case .send: return "send \(stream) to \(ranks)"
    case .receive: return "receive \(stream) from \(ranks)"
    case .combine:
      let operands = step.sources.map { index -> String in
        let source = sources[Int(index)]
        guard source.kind == .memory else { return "slot from \(source.peer)" }
        return text(source.extent..<source.extent + Int32(step.extents.count))
      }
      return "combine \(stream) = " + operands.joined(separator: " + ")
    }
  }

  private func text(_ range: Range<Int32>) -> String {
    guard !range.isEmpty else { return "nothing" }
    return range.map { index in
      let extent = extents[Int(index)]
      let name =
        switch extent.memory {
        case 0: "input"
        case 1: "output"
        case forwardedMemory: "forwarded"
        default: "scratch \(extent.memory - 2)"
        }
      return "\(name)[\(extent.offset)..<\(extent.offset + extent.bytes)]"
    }.joined(separator: ", ")
  }

  private func text(of edge: Edge) -> String {
    if edge.kind == .completed { return "after \(edge.step) completed" }
    let shift = edge.delta == 0 ? "" : edge.delta > 0 ? " + \(edge.delta)" : " - \(edge.delta.magnitude)"
    return "\(edge.lower)..<\(edge.upper) after \(edge.step) \(edge.kind == .executed ? "executed" : "released")\(shift)"
  }
}
