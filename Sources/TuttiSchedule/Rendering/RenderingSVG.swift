// Schedules as a picture: ranks from top to bottom, time from left to right, an arrow for each message.

extension Schedule {
  /// The schedules of all ranks in time, as an SVG document that needs nothing else, for papers and browsers.
  ///
  /// Every rank is a line. Messages are arrows between the lines, from the start of the send to the arrival, labelled with
  /// their chunks; dots are folds, squares are local copies. The machine is an abstract one: a message takes one unit of
  /// time, and four for all of the data, by its share; links do not disturb each other, messages travel whole, and local
  /// work takes no time.
  ///
  /// - Parameters:
  ///   - schedules: By rank. They need not be proven: what can never happen is not drawn.
  ///   - name: The algorithm's; it may have any characters.
  package static func svg(of schedules: [Schedule], algorithm name: String) -> String {
    ScheduleDrawing(schedules, title: title(of: schedules, algorithm: name)).document()
  }
}

/// Colours that can be told apart, also where not all colours can (after Okabe & Ito), by chunk or by channel.
enum ScheduleColours {
  static let palette = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f3c8d", "#666666", "#e73f74", "#5a7d00", "#8b4513",
    "#1f9e9e",
  ]
}

/// One picture: where everything lies, and its text.
private struct ScheduleDrawing {
  /// More labels than this could not be read.
  private static let labelsMax = 1500
  private static let left = 76.0
  private static let right = 28.0
  private static let top = 66.0
  /// The least length of a message, which leaves room for its label, unless the picture would be wider than
  /// ``plotWidthMax``.
  private static let messageWidth = 54.0
  private static let plotWidthMin = 616.0
  private static let plotWidthMax = 3600.0

  private let schedules: [Schedule]
  private let title: String
  private let timeline: ScheduleTimeline
  /// Messages that are sent.
  private let passages: [ScheduleTimeline.Passage]
  private let end: Double
  private let scale: Double
  private let rowHeight: Double
  private let coloursChunks: Bool
  private var text = ""

  init(_ schedules: [Schedule], title: String) {
    self.schedules = schedules
    self.title = title
    let timeline = ScheduleTimeline(schedules)
    self.timeline = timeline
    passages = timeline.passages.filter { timeline.sent($0).happens }
    end = max(passages.map(timeline.arrival).max() ?? 0, timeline.end)
    let shortest = passages.map { timeline.arrival($0) - timeline.sent($0).start }.min() ?? 1
    let wanted = min(ScheduleDrawing.messageWidth / shortest, ScheduleDrawing.plotWidthMax / max(end, 1))
    scale = max(wanted, ScheduleDrawing.plotWidthMin / max(end, 1))
    rowHeight = schedules.count <= 12 ? 54 : schedules.count <= 32 ? 36 : 24
    let first = schedules.first
    coloursChunks =
      first.map { $0.channelCount == 1 && $0.chunkCount > 1 && !$0.equalBlocks } ?? false
  }

  // MARK: Places

  private var plotWidth: Double { max(end, 1) * scale }
  private var plotBottom: Double { ScheduleDrawing.top + Double(max(schedules.count, 1)) * rowHeight }
  private var width: Double { max(ScheduleDrawing.left + plotWidth + ScheduleDrawing.right, 720) }

  private func x(_ time: Double) -> Double { ScheduleDrawing.left + time * scale }
  private func y(_ rank: Int) -> Double { ScheduleDrawing.top + (Double(rank) + 0.5) * rowHeight }

  private func colour(_ passage: ScheduleTimeline.Passage) -> Int {
    guard coloursChunks else { return passage.channel % ScheduleColours.palette.count }
    let chunk = schedules[passage.sender].ranges(passage.message).first?.chunks.lowerBound ?? 0
    return max(chunk, 0) % ScheduleColours.palette.count
  }

  // MARK: The document

  func document() -> String {
    var drawing = self
    let (legend, legendHeight) = legend(top: plotBottom + 52)
    let height = plotBottom + 52 + legendHeight
    drawing.text = """
      <?xml version="1.0" encoding="UTF-8"?>
      <svg xmlns="http://www.w3.org/2000/svg" width="\(XML.number(width))" height="\(XML.number(height))" \
      viewBox="0 0 \(XML.number(width)) \(XML.number(height))" font-family="Helvetica, Arial, sans-serif">
      <title>\(XML.escaped(title))</title>
      <rect width="100%" height="100%" fill="white"/>
      <text x="16" y="26" font-size="17" font-weight="bold" fill="#222222">\(XML.escaped(title))</text>
      <text x="16" y="45" font-size="11" fill="#555555">\(XML.escaped(Schedule.summary(timeline)))</text>
      <defs>

      """
    for (index, colour) in ScheduleColours.palette.enumerated() where passages.contains(where: { self.colour($0) == index })
    {
      drawing.text += """
        <marker id="head\(index)" viewBox="0 0 10 8" refX="13" refY="4" markerWidth="9" markerHeight="7" \
        markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L10,4 L0,8 z" fill="\(colour)"/></marker>

        """
    }
    drawing.text += "</defs>\n"
    drawing.addAxis()
    drawing.addRanks()
    drawing.addMessages()
    drawing.addLocalSteps()
    if passages.count <= ScheduleDrawing.labelsMax { drawing.addLabels() }
    return drawing.text + legend + "</svg>\n"
  }

  private mutating func addAxis() {
    var step = end < 4 ? 0.5 : 1
    while end / step > 16 { step *= step.isPowerOfTenTimesTwo ? 2.5 : 2 }
    text += "<g font-size=\"10\" fill=\"#555555\" text-anchor=\"middle\" stroke-width=\"1\">\n"
    var time = 0.0
    while time <= max(end, 1) {
      let place = XML.number(x(time))
      text += """
        <line x1="\(place)" y1="\(XML.number(ScheduleDrawing.top))" x2="\(place)" y2="\(XML.number(plotBottom + 4))" \
        stroke="#ececec"/>
        <text x="\(place)" y="\(XML.number(plotBottom + 16))">\(XML.number(time))</text>

        """
      time += step
    }
    text += """
      <text x="\(XML.number(x(max(end, 1) / 2)))" y="\(XML.number(plotBottom + 32))" font-size="11">\
      time, in units of a message's latency; all of the data takes \(XML.number(ScheduleTimeline.dataTime))</text>
      </g>

      """
  }

  private mutating func addRanks() {
    text += "<g font-size=\"12\" fill=\"#222222\">\n"
    for rank in schedules.indices {
      let isRoot = schedules[rank].collective.hasRoot && schedules[rank].root == rank
      text += """
        <text x="\(XML.number(ScheduleDrawing.left - 14))" y="\(XML.number(y(rank) + 4))" text-anchor="end"\
        \(isRoot ? " font-weight=\"bold\"" : "")>\(isRoot ? "root \(rank)" : "rank \(rank)")</text>
        <line x1="\(XML.number(x(0)))" y1="\(XML.number(y(rank)))" x2="\(XML.number(x(max(end, 1))))" \
        y2="\(XML.number(y(rank)))" stroke="#9a9a9a" stroke-width="1.2"/>

        """
    }
    text += "</g>\n"
  }

  private mutating func addMessages() {
    text += "<g fill=\"none\">\n"
    for passage in passages {
      guard schedules.indices.contains(passage.receiver) else { continue }
      let colour = colour(passage)
      let share = schedules[passage.sender].share(passage.message)
      let (start, arrival) = (timeline.sent(passage).start, timeline.arrival(passage))
      text += """
        <path class="message" d="M\(XML.number(x(start))),\(XML.number(y(passage.sender))) \
        L\(XML.number(x(arrival))),\(XML.number(y(passage.receiver)))" stroke="\(ScheduleColours.palette[colour])" \
        stroke-width="\(XML.number(1.1 + 1.4 * min(share, 1)))" marker-end="url(#head\(colour))"\
        \(passage.receiveStep == nil ? " stroke-dasharray=\"4 3\"" : "")>\
        <title>rank \(passage.sender) to rank \(passage.receiver): \
        \(XML.escaped(schedules[passage.sender].label(passage.message))), \
        \(XML.number(start)) to \(XML.number(arrival))</title></path>

        """
    }
    text += "</g>\n"
  }

  private mutating func addLocalSteps() {
    text += "<g>\n"
    for (rank, schedule) in schedules.enumerated() {
      for (index, step) in schedule.steps.enumerated() where timeline.events[rank][index].happens {
        // A forward folds when it sends.
        let (place, line) = (x(timeline.events[rank][index].start), y(rank))
        switch step {
        case .reduce(_, let combine, _), .forward(_, let combine, _, _):
          if combine.sources.count > 1 {
            text += fold(place, line, completes: combine.completes)
          } else if case .reduce = step {
            text += copy(place, line)
          }
        case .send, .receive, .receiveSlot: break
        }
      }
    }
    text += "</g>\n"
  }

  private func fold(_ x: Double, _ y: Double, completes: Bool) -> String {
    let place = "cx=\"\(XML.number(x))\" cy=\"\(XML.number(y))\""
    let ring = completes ? "<circle \(place) r=\"6\" fill=\"white\" stroke=\"#222222\"/>" : ""
    return ring
      + "<circle class=\"fold\" \(place) r=\"3.6\" fill=\"#222222\" stroke=\"white\" stroke-width=\"0.6\"/>\n"
  }

  private func copy(_ x: Double, _ y: Double) -> String {
    "<rect x=\"\(XML.number(x - 3))\" y=\"\(XML.number(y - 3))\" width=\"6\" height=\"6\" "
      + "fill=\"white\" stroke=\"#555555\"/>\n"
  }

  /// Labels lie on their arrows, where they cover no other label.
  private mutating func addLabels() {
    var taken: [(x: Double, y: Double, halfWidth: Double)] = []
    text += "<g font-size=\"10\" text-anchor=\"middle\" stroke=\"white\" stroke-width=\"3.4\" stroke-linejoin=\"round\" "
    text += "paint-order=\"stroke\">\n"
    for passage in passages where schedules.indices.contains(passage.receiver) {
      let label = schedules[passage.sender].label(passage.message)
      guard !label.isEmpty, schedules[passage.sender].collective != .barrier else { continue }
      let halfWidth = Double(label.count) * 2.9 + 2
      let from = (x: x(timeline.sent(passage).start), y: y(passage.sender))
      let to = (x: x(timeline.arrival(passage)), y: y(passage.receiver))
      var best = (x: 0.0, y: 0.0)
      for part in [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78, 0.15] {
        let place = (x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part)
        if part == 0.5 { best = place }
        guard !taken.contains(where: { abs($0.x - place.x) < $0.halfWidth + halfWidth && abs($0.y - place.y) < 11 })
        else { continue }
        best = place
        break
      }
      taken.append((best.x, best.y, halfWidth))
      text += """
        <text x="\(XML.number(best.x))" y="\(XML.number(best.y + 3.5))" \
        fill="\(ScheduleColours.palette[colour(passage)])">\(XML.escaped(label))</text>

        """
    }
    text += "</g>\n"
  }

  // MARK: The legend

  private func legend(top: Double) -> (text: String, height: Double) {
    var entries: [(symbol: (Double, Double) -> String, label: String)] = []
    let channelCount = schedules.first?.channelCount ?? 1
    if coloursChunks || channelCount > 1 {
      for index in Set(passages.map(colour)).sorted() {
        entries.append(({ self.sample($0, $1, index) }, coloursChunks ? "chunk \(index)" : "channel \(index)"))
      }
      let count = coloursChunks ? schedules[0].chunkCount : channelCount
      if count > ScheduleColours.palette.count {
        entries.append(({ _, _ in "" }, "(colours repeat after \(ScheduleColours.palette.count))"))
      }
    } else if !passages.isEmpty {
      entries.append(
        ({ self.sample($0, $1, 0) }, schedules.first?.collective == .barrier ? "message" : "message, with its chunks"))
    }
    let steps = schedules.flatMap(\.steps)
    func has(_ wanted: (_ operands: Int, _ completes: Bool) -> Bool) -> Bool {
      steps.contains {
        switch $0 {
        case .reduce(_, let fold, _): wanted(fold.sources.count, fold.completes)
        case .forward(_, let fold, _, _): fold.sources.count > 1 && wanted(fold.sources.count, fold.completes)
        case .send, .receive, .receiveSlot: false
        }
      }
    }
    if has({ $0 > 1 && !$1 }) { entries.append(({ self.fold($0, $1, completes: false) }, "fold")) }
    if has({ $0 > 1 && $1 }) {
      entries.append(({ self.fold($0, $1, completes: true) }, "fold with every rank's contribution"))
    }
    if has({ operands, _ in operands == 1 }) { entries.append(({ self.copy($0, $1) }, "local copy")) }

    var text = "<g font-size=\"11\" fill=\"#222222\">\n"
    var (left, line) = (ScheduleDrawing.left, top)
    for entry in entries {
      let entryWidth = 38 + Double(entry.label.count) * 6
      if left + entryWidth > width - 10, left > ScheduleDrawing.left {
        left = ScheduleDrawing.left
        line += 18
      }
      text += entry.symbol(left + 8, line)
      text += "<text x=\"\(XML.number(left + 22))\" y=\"\(XML.number(line + 4))\">\(XML.escaped(entry.label))</text>\n"
      left += entryWidth
    }
    return (text + "</g>\n", line - top + 20)
  }

  private func sample(_ x: Double, _ y: Double, _ colour: Int) -> String {
    "<line x1=\"\(XML.number(x - 8))\" y1=\"\(XML.number(y))\" x2=\"\(XML.number(x + 8))\" y2=\"\(XML.number(y))\" "
      + "stroke=\"\(ScheduleColours.palette[colour])\" stroke-width=\"2.5\"/>\n"
  }
}

extension Double {
  /// Whether this is 2, 20, 200...: in the steps of an axis, 1 2 5 10 20 50..., these are followed by 2.5 times themselves.
  fileprivate var isPowerOfTenTimesTwo: Bool {
    var value = self
    while value >= 10 { value /= 10 }
    return value == 2
  }
}
