// Schedules as text: all steps of all ranks, each with its round.

extension Schedule {
  /// The schedules of all ranks, step by step. A step's round says how many messages there are on the longest chain of waits
  /// up to it.
  ///
  /// - Parameters:
  ///   - schedules: By rank. They need not be proven: a step that can never happen says so.
  ///   - name: The algorithm's.
  package static func text(of schedules: [Schedule], algorithm name: String) -> String {
    let timeline = ScheduleTimeline(schedules)
    var text = title(of: schedules, algorithm: name) + "\n" + summary(timeline) + "\n"
    for (rank, schedule) in schedules.enumerated() {
      text += "\nrank \(rank)\n  step  round\n"
      for index in schedule.steps.indices {
        let event = timeline.events[rank][index]
        let round = event.happens ? String(event.round) : "never"
        text += padded(String(index), 6) + padded(round, 7) + "  " + schedule.text(ofStep: index) + "\n"
      }
    }
    return text
  }

  /// `all-reduce ring, 3 ranks`, with the root where there is one.
  static func title(of schedules: [Schedule], algorithm name: String) -> String {
    guard let first = schedules.first else { return "\(name), no ranks" }
    let root = first.collective.hasRoot ? ", root \(first.root)" : ""
    return "\(first.collective.name) \(name), \(counted(schedules.count, "rank"))\(root)"
  }

  /// What the schedules have in all: `3 chunks, 1 channel, 12 messages in 4 rounds`.
  static func summary(_ timeline: ScheduleTimeline) -> String {
    let first = timeline.schedules.first
    var text =
      counted(first?.chunkCount ?? 0, "chunk") + ", " + counted(first?.channelCount ?? 0, "channel") + ", "
      + counted(timeline.passages.count, "message") + " in " + counted(timeline.rounds, "round")
    let stuck = timeline.events.reduce(0) { $0 + $1.count { !$0.happens } }
    if stuck > 0 { text += "; \(counted(stuck, "step")) never happen\(stuck == 1 ? "s" : "")" }
    return text
  }

  private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  /// The chunks of a message in a drawing: `3`, `0-2`, `6-7 0`. Where chunks of different blocks are interchangeable, those
  /// in scratch say nothing by their numbers, and are counted: `x4`.
  func label(_ message: Message) -> String {
    let list = ranges(message)
    if equalBlocks, list.contains(where: { if case .scratch = $0.buffer { true } else { false } }) {
      return "x\(list.reduce(0) { $0 + $1.chunks.count })"
    }
    return list.filter { !$0.chunks.isEmpty }
      .map { $0.chunks.count == 1 ? "\($0.chunks.lowerBound)" : "\($0.chunks.lowerBound)-\($0.chunks.upperBound - 1)" }
      .joined(separator: " ")
  }
}
