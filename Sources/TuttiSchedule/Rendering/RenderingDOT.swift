// Schedules as a graph in Graphviz's DOT language: `dot -Tsvg`.

extension Schedule {
  /// The schedules of all ranks as a graph: a cluster for each rank with its steps in order, an edge for each message,
  /// labelled with its chunks, and a dashed one from each slot to the step that reads it.
  ///
  /// - Parameters:
  ///   - schedules: By rank. They need not be proven: a message that nobody receives ends in a point of its own.
  ///   - name: The algorithm's; it may have any characters.
  package static func dot(of schedules: [Schedule], algorithm name: String) -> String {
    let timeline = ScheduleTimeline(schedules)
    var text = """
      digraph \(quoted(title(of: schedules, algorithm: name))) {
        label=\(quoted(title(of: schedules, algorithm: name) + "\n" + summary(timeline)));
        labelloc=t; rankdir=LR; newrank=true;
        fontname="Helvetica"; node [shape=box, style=rounded, fontname="Helvetica", fontsize=10];
        edge [fontname="Helvetica", fontsize=9];

      """
    for (rank, schedule) in schedules.enumerated() {
      text += "  subgraph cluster_\(rank) {\n    label=\"rank \(rank)\"; color=gray70;\n"
      for (index, step) in schedule.steps.enumerated() {
        text +=
          "    \(node(rank, index)) [label=\(quoted("\(index): " + lines(schedule.text(ofStep: index))))\(shade(step))];\n"
      }
      for index in schedule.steps.indices.dropFirst() {
        text += "    \(node(rank, index - 1)) -> \(node(rank, index)) [color=gray80, arrowhead=none, weight=8];\n"
      }
      text += slotEdges(rank, schedule) + "  }\n"
    }
    for (number, passage) in timeline.passages.enumerated() {
      let label = schedules[passage.sender].label(passage.message)
      let colour = ScheduleColours.palette[passage.channel % ScheduleColours.palette.count]
      let target: String
      if let step = passage.receiveStep {
        target = node(passage.receiver, step)
      } else {
        target = "lost_\(number)"
        text += "  \(target) [shape=point, xlabel=\(quoted("rank \(passage.receiver) does not receive it"))];\n"
      }
      text +=
        "  \(node(passage.sender, passage.sendStep)) -> \(target) "
        + "[label=\(quoted(label)), color=\"\(colour)\", constraint=false];\n"
    }
    return text + "}\n"
  }

  private static func slotEdges(_ rank: Int, _ schedule: Schedule) -> String {
    var received: [Slot: Int] = [:]
    var text = ""
    for (index, step) in schedule.steps.enumerated() {
      switch step {
      case .receiveSlot(_, let slot, _, _): received[slot] = index
      case .reduce(_, let fold, _), .forward(_, let fold, _, _):
        for case .slot(let slot) in fold.sources {
          guard let source = received[slot] else { continue }
          text += "    \(node(rank, source)) -> \(node(rank, index)) [style=dashed, color=gray40, constraint=false];\n"
        }
      case .send, .receive: break
      }
    }
    return text
  }

  /// A step's words in two lines: what it does, and how.
  private static func lines(_ text: String) -> String {
    guard let bracket = text.lastIndex(of: "(") else { return text }
    return text[..<bracket].dropLast() + "\n" + text[bracket...]
  }

  private static func node(_ rank: Int, _ step: Int) -> String { "r\(rank)s\(step)" }

  /// Steps that combine are filled, and more so where they complete the data.
  private static func shade(_ step: Step) -> String {
    switch step {
    case .reduce(_, let fold, _), .forward(_, let fold, _, _):
      guard fold.sources.count > 1 else { return "" }
      return ", style=\"rounded,filled\", fillcolor=\"\(fold.completes ? "#bcd9c0" : "#e4e9f2")\""
    case .send, .receive, .receiveSlot: return ""
    }
  }

  /// A DOT string: quotes and backslashes escaped, line ends as `\n`.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for character in text.unicodeScalars {
      switch character {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(character.value < 32 ? "\u{FFFD}" : character)
      }
    }
    return result + "\""
  }
}
