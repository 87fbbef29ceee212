import Foundation
import Testing

@testable import Charts

@Suite struct TimelineTests {
  private static func span(
    _ track: String, _ name: String, _ kind: TimelineSpan.Kind, _ start: Double, _ end: Double
  ) -> TimelineSpan { TimelineSpan(track: track, name: name, kind: kind, start: start, end: end) }

  private static let step = (0..<2).flatMap { rank in
    [
      span("rank \(rank) communication", "bucket 1", .communication, 5.014, 5.024),
      span("rank \(rank) compute", "forward", .forward, 5, 5.010),
      span("rank \(rank) compute", "backward", .backward, 5.010, 5.030),
      span("rank \(rank) communication", "bucket 2", .communication, 5.020, 5.034),
      span("rank \(rank) compute", "wait", .waiting, 5.030, 5.034),
      span("rank \(rank) compute", "AdamW", .optimizer, 5.034, 5.038),
    ]
  }

  @Test func layoutGroupsTracksAndSeparatesOverlaps() throws {
    let layout = TimelineLayout(TimelineTests.step.shuffled())
    #expect(layout.groups.map(\.name) == ["rank 0", "rank 1"])
    #expect(layout.groups[0].tracks.map(\.name) == ["compute", "communication"])
    #expect(layout.groups[0].tracks.map(\.lanes.count) == [1, 2])
    #expect(abs(layout.duration - 0.038) < 1e-12)
    for track in layout.groups.flatMap(\.tracks) {
      for lane in track.lanes { #expect(zip(lane, lane.dropFirst()).allSatisfy { $0.end <= $1.start }) }
    }
    #expect(layout.groups[0].tracks[0].lanes[0].map(\.name) == ["forward", "backward", "wait", "AdamW"])
  }

  @Test func ranksAreInTheOrderOfTheirNumbers() {
    let spans = [10, 2, 0].map { TimelineTests.span("rank \($0) compute", "", .other, 0, 1) }
    #expect(TimelineLayout(spans).groups.map(\.name) == ["rank 0", "rank 2", "rank 10"])
  }

  @Test func spansWithoutATimeAreLeftOut() {
    let spans = [(Double.nan, 1.0), (0, .infinity), (2, 1), (3, 3)].map { TimelineTests.span("main", "x", .other, $0, $1) }
    let layout = TimelineLayout(spans)
    #expect(layout.groups.count == 1 && layout.groups[0].name == "" && layout.groups[0].tracks[0].name == "main")
    #expect(layout.groups[0].tracks[0].lanes == [[TimelineTests.span("main", "x", .other, 0, 0)]] && layout.duration == 0)
  }

  @Test func pictureIsWellFormed() {
    let parsed = ParsedXML(timelineSVG(TimelineTests.step, title: "a <step> & its \"buckets\""))
    #expect(!parsed.hasBadNumbers)
    // A title for the document, and one for each span.
    #expect(parsed.counts["title"] == 1 + TimelineTests.step.count)
    #expect(
      ["a <step> & its \"buckets\"", "rank 1", "compute", "backward", "ms", "waiting"].allSatisfy(parsed.texts.contains))
    #expect(parsed.texts.contains("backward: 20 ms"))
  }

  @Test func spansAreLabelledWhereTheLabelFits() {
    let spans = [(0.0, 0.5), (0.5, 0.52), (0.52, 0.521), (0.521, 1)].enumerated().map { index, times in
      TimelineTests.span("rank 0 compute", "bucket \(index + 1)", .backward, times.0, times.1)
    }
    let texts = ParsedXML(timelineSVG(spans)).texts
    #expect(["bucket 1", "2", "bucket 4"].allSatisfy(texts.contains))
    #expect(!["bucket 2", "bucket 3", "3"].contains(where: texts.contains))
  }

  @Test func emptyAndInstantTimelinesAreDrawn() {
    #expect(ParsedXML(timelineSVG([])).texts.contains("nothing to draw"))
    let instant = ParsedXML(timelineSVG([TimelineTests.span("", "\u{1}<", .waiting, 4, 4)]))
    #expect(!instant.hasBadNumbers && instant.texts.contains(" <: 0 ms"))
  }

  @Test func traceIsWhatPerfettoReads() throws {
    let spans = TimelineTests.step + [TimelineTests.span("rank 0 compute", "\"\\\u{7}\n😀", .other, 5.04, 5.041)]
    let text = perfettoTrace(spans + [TimelineTests.span("rank 0 compute", "never", .other, .nan, 1)])
    let trace = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(trace["displayTimeUnit"] as? String == "ms")
    let events = try #require(trace["traceEvents"] as? [[String: Any]])
    func named(_ event: String) -> [String] {
      events.filter { $0["name"] as? String == event && $0["ph"] as? String == "M" }
        .compactMap { ($0["args"] as? [String: Any])?["name"] as? String }
    }
    #expect(named("process_name") == ["rank 0", "rank 1"])
    #expect(Set(named("thread_name")) == ["compute", "communication", "communication (2)"])
    let drawn = events.filter { $0["ph"] as? String == "X" }
    #expect(Set(drawn.compactMap { $0["name"] as? String }) == Set(spans.map(\.name)) && drawn.count == spans.count)
    let backward = try #require(drawn.first { $0["name"] as? String == "backward" })
    #expect(abs((backward["ts"] as? Double ?? 0) - 10_000) < 1e-3 && abs((backward["dur"] as? Double ?? 0) - 20_000) < 1e-3)
    #expect(backward["cat"] as? String == "backward" && backward["pid"] as? Int == 0)
    // Spans of one thread do not overlap, so any reader may nest them.
    let threads = Dictionary(grouping: drawn) { "\($0["pid"] ?? "") \($0["tid"] ?? "")" }
    #expect(threads.count == 6)
  }

  @Test func emptyTraceIsATrace() throws {
    let trace = try JSONSerialization.jsonObject(with: Data(perfettoTrace([]).utf8)) as? [String: Any]
    #expect((trace?["traceEvents"] as? [Any])?.isEmpty == true)
  }
}
