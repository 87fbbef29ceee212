import Foundation
import Testing
import TuttiAlgorithms

@testable import TuttiSchedule

/// Drawings of schedules: complete and well-formed for every algorithm, and for schedules that do not work.
@Suite struct RenderingTests {
  static let rankCounts = [1, 2, 5]

  private func schedules(_ algorithm: any Algorithm, _ rankCount: Int, root: Int = 0) -> [Schedule] {
    (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
  }

  private func messageCount(_ schedules: [Schedule]) -> Int {
    schedules.reduce(0) { total, schedule in
      schedule.steps.reduce(total) { sum, step in
        switch step {
        case .send(_, let peers, _, _), .forward(_, _, let peers, _): sum + peers.count
        case .receive, .receiveSlot, .reduce: sum
        }
      }
    }
  }

  private func everySchedule(_ index: Int) throws -> [(schedules: [Schedule], name: String)] {
    let algorithm = AlgorithmRegistry.all[index]
    return RenderingTests.rankCounts.filter { algorithm.isDefined(for: Grouping(rankCount: $0)) }.flatMap { rankCount in
      (algorithm.collective.hasRoot ? Array(0..<rankCount) : [0]).map { root in
        (schedules(algorithm, rankCount, root: root), algorithm.name)
      }
    }
  }

  @Test func textOfARing() {
    let text = Schedule.text(of: schedules(RingAllReduce.ring, 3), algorithm: "ring")
    let rank1 = """
      rank 1
        step  round
           0      1  send input[1] to 2 (held, channel 0)
           1      1  receive slot 0 of chunks [0] from 0 (channel 0)
           2      1  reduce output[0] = slot 0 + input[0] (channel 0)
           3      2  send output[0] to 2 (held, channel 0)
           4      2  receive slot 1 of chunks [2] from 0 (channel 0)
           5      2  reduce output[2] = slot 1 + input[2] (completes, channel 0)
           6      3  send output[2] to 2 (held, channel 0)
           7      3  receive output[1] from 0 (channel 0)
           8      4  send output[1] to 2 (held, channel 0)
           9      4  receive output[0] from 0 (channel 0)

      """
    #expect(text.hasPrefix("all-reduce ring, 3 ranks\n3 chunks, 1 channel, 12 messages in 4 rounds\n\nrank 0\n"))
    #expect(text.contains(rank1))
    #expect(text.split(separator: "\n").count == 2 + 3 * 12)
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func everyStepHappens(_ index: Int) throws {
    let algorithm = AlgorithmRegistry.all[index]
    for rankCount in Array(1...9) + [16, 17] where algorithm.isDefined(for: Grouping(rankCount: rankCount)) {
      let timeline = ScheduleTimeline(
        schedules(algorithm, rankCount, root: algorithm.collective.hasRoot ? rankCount - 1 : 0))
      #expect(timeline.events.allSatisfy { $0.allSatisfy(\.happens) }, "\(algorithm.name), \(rankCount) ranks")
      #expect(timeline.passages.allSatisfy { $0.receiveStep != nil })
    }
  }

  /// Time and rounds, counted by hand.
  @Test func timesAreThoseOfTheMachine() {
    let ring = ScheduleTimeline(schedules(RingAllReduce.ring, 8))
    #expect(ring.end == 14 * (1 + 0.5))
    #expect(ring.rounds == 14)
    let tree = ScheduleTimeline(schedules(BinomialBroadcast(), 8))
    #expect(tree.end == 3 * (1 + 4))
    #expect(tree.rounds == 3)
    // One after the other, each as soon as the one before has left; the last one arrives a latency later.
    let pairwise = ScheduleTimeline(schedules(PairwiseAllToAll(), 8))
    #expect(pairwise.end == 7 * 0.5 + 1)
    #expect(pairwise.rounds == 7)
    #expect(ScheduleTimeline(schedules(DisseminationBarrier(), 8)).end == 3)
    #expect(ScheduleTimeline(schedules(RingAllReduce.ring, 1)).end == 0)
  }

  /// What a send reads is overwritten when the receiver has it; or, where the send is copied, when it has left.
  @Test(arguments: [(SourceLifetime.held, 10.0), (.copied, 9.0)])
  func sourcesAreHeld(_ lifetime: SourceLifetime, _ overwritten: Double) {
    var first = ScheduleBuilder(.allReduce, rank: 0, rankCount: 2, chunkCount: 1)
    first.receive([.output(0)], from: 1)
    first.send([.output(0)], to: 1, lifetime: lifetime)
    first.receive([.output(0)], from: 1)
    var second = ScheduleBuilder(.allReduce, rank: 1, rankCount: 2, chunkCount: 1)
    second.send([.input(0)], to: 0)
    second.receive([.output(0)], from: 0)
    second.send([.input(0)], to: 0)
    let timeline = ScheduleTimeline([first.finish(), second.finish()])
    #expect(timeline.events[0].map(\.start) == [5, 5, overwritten])
    #expect(timeline.events[1].map(\.start) == [0, 10, 4], "one message at a time on a link")
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func textHasEveryStep(_ index: Int) throws {
    for (schedules, name) in try everySchedule(index) {
      let text = Schedule.text(of: schedules, algorithm: name)
      #expect(text.split(separator: "\n").count == 2 + schedules.reduce(0) { $0 + 2 + $1.steps.count })
      #expect(!text.contains("never"))
    }
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func dotIsWellFormed(_ index: Int) throws {
    for (schedules, name) in try everySchedule(index) {
      let text = Schedule.dot(of: schedules, algorithm: name)
      let bare = try withoutStrings(text)
      #expect(bare.count { $0 == "{" } == bare.count { $0 == "}" })
      #expect(bare.hasPrefix("digraph") && bare.hasSuffix("}\n"))
      #expect(text.split(separator: "constraint=false];").count - 1 == messageCount(schedules) + slotCount(schedules))
      for (rank, schedule) in schedules.enumerated() {
        for step in schedule.steps.indices { #expect(text.contains("    r\(rank)s\(step) [label=")) }
      }
    }
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func svgIsWellFormed(_ index: Int) throws {
    for (schedules, name) in try everySchedule(index) {
      let text = Schedule.svg(of: schedules, algorithm: name)
      let elements = try SVGElements(text)
      #expect(elements.count(of: "path", named: "message") == messageCount(schedules))
      let folds = schedules.reduce(0) { total, schedule in
        total
          + schedule.steps.count {
            switch $0 {
            case .reduce(_, let fold, _), .forward(_, let fold, _, _): fold.sources.count > 1
            case .send, .receive, .receiveSlot: false
            }
          }
      }
      // The legend shows each kind of fold once more.
      #expect((folds...folds + 2).contains(elements.count(of: "circle", named: "fold")))
      #expect(elements.text.contains { $0.contains(name) })
    }
  }

  @Test func namesAreEscaped() throws {
    let name = "<b>\"R&D\"\\'\u{1}\n</svg>"
    let schedules = schedules(RingAllReduce.ring, 2)
    let svg = Schedule.svg(of: schedules, algorithm: name)
    let elements = try SVGElements(svg)
    #expect(elements.text.contains("all-reduce <b>\"R&D\"\\'\u{FFFD}\n</svg>, 2 ranks"))
    let dot = Schedule.dot(of: schedules, algorithm: name)
    #expect(dot.hasPrefix(#"digraph "all-reduce <b>\"R&D\"\\'"# + "\u{FFFD}" + #"\n</svg>, 2 ranks" {"#))
    _ = try withoutStrings(dot)
  }

  /// A message that nobody receives, and one that nobody sends.
  @Test func brokenSchedulesAreDrawn() throws {
    var first = ScheduleBuilder(.broadcast, rank: 0, rankCount: 2, chunkCount: 1)
    first.send([.input(0)], to: 1)
    first.send([.input(0)], to: 1)
    first.receive([.output(0)], from: 1)
    var second = ScheduleBuilder(.broadcast, rank: 1, rankCount: 2, chunkCount: 1)
    second.receive([.output(0)], from: 0)
    let schedules = [first.finish(), second.finish()]
    let text = Schedule.text(of: schedules, algorithm: "broken")
    #expect(text.contains("2 messages in 2 rounds; 1 step never happens"))
    #expect(text.contains("     2  never  receive output[0] from 1 (channel 0)"))
    #expect(Schedule.dot(of: schedules, algorithm: "broken").contains("rank 1 does not receive it"))
    let elements = try SVGElements(Schedule.svg(of: schedules, algorithm: "broken"))
    #expect(elements.count(of: "path", named: "message") == 2)
    _ = try SVGElements(Schedule.svg(of: [], algorithm: "none"))
  }

  private func slotCount(_ schedules: [Schedule]) -> Int {
    schedules.reduce(0) { $0 + $1.steps.count { if case .receiveSlot = $0 { true } else { false } } }
  }

  /// DOT with its quoted strings taken out; fails where one does not end.
  private func withoutStrings(_ text: String) throws -> String {
    var result = ""
    var inside = false
    var escaped = false
    for character in text {
      if !inside {
        if character == "\"" { inside = true } else { result.append(character) }
      } else if escaped {
        escaped = false
      } else if character == "\\" {
        escaped = true
      } else if character == "\"" {
        inside = false
      } else {
        try #require(character != "\n", "a string over two lines")
      }
    }
    try #require(!inside)
    return result
  }
}

/// A strict reading of the XML that the drawings use: tags balance, attributes are quoted, text has no bare characters.
private struct SVGElements {
  private(set) var text: [String] = []
  private var classes: [String: Int] = [:]

  func count(of element: String, named name: String) -> Int { classes["\(element).\(name)", default: 0] }

  init(_ document: String) throws {
    let header = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    try #require(document.hasPrefix(header))
    var rest = document.dropFirst(header.count)
    var open: [Substring] = []
    while let start = rest.firstIndex(of: "<") {
      try add(text: rest[..<start])
      let end = try #require(rest[start...].firstIndex(of: ">"))
      let tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.first == "/" {
        #expect(open.popLast() == tag.dropFirst(), "</\(tag)>")
      } else {
        let name = tag.prefix { $0.isLetter }
        try #require(!name.isEmpty)
        try readAttributes(tag.dropFirst(name.count), of: name)
        if tag.last != "/" { open.append(name) }
      }
    }
    #expect(open.isEmpty && rest == "\n")
  }

  private mutating func readAttributes(_ list: Substring, of element: Substring) throws {
    var rest = list
    if rest.last == "/" { rest.removeLast() }
    while let equals = rest.firstIndex(of: "=") {
      let name = rest[..<equals]
      try #require(name.first == " " && name.dropFirst().allSatisfy { $0.isLetter || $0 == "-" || $0.isNumber }, "\(list)")
      let opening = rest.index(after: equals)
      try #require(rest[opening...].first == "\"")
      let closing = try #require(rest[rest.index(after: opening)...].firstIndex(of: "\""))
      let value = rest[rest.index(after: opening)..<closing]
      try #require(!value.contains("<") && !value.contains("nan") && !value.contains("inf"))
      if name == " class" { classes["\(element).\(value)", default: 0] += 1 }
      rest = rest[rest.index(after: closing)...]
    }
    try #require(rest.isEmpty, "\(list)")
  }

  private mutating func add(text raw: Substring) throws {
    var plain = ""
    var rest = raw
    while let character = rest.first {
      rest.removeFirst()
      guard character == "&" else {
        try #require(character != ">")
        plain.append(character)
        continue
      }
      let end = try #require(rest.firstIndex(of: ";"))
      let known = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "#39": "'"]
      plain += try #require(known[String(rest[..<end])])
      rest = rest[rest.index(after: end)...]
    }
    if !plain.allSatisfy(\.isWhitespace) { text.append(plain) }
  }
}
