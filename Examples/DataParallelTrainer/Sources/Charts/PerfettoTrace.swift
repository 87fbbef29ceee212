// A timeline as a trace for ui.perfetto.dev and chrome://tracing.

import Foundation

/// Spans as JSON in the Trace Event Format (Duca & Sinclair, Trace Event Format, 2013), which ui.perfetto.dev opens.
///
/// A group of tracks ("rank 0") is a process, a track a thread; where spans of a track overlap it has a thread for each
/// lane, because spans of one thread must nest in this format. Times are microseconds from the first start.
public func perfettoTrace(_ spans: [TimelineSpan]) -> String {
  let layout = TimelineLayout(spans)
  var events: [TraceEvent] = []
  for (process, group) in layout.groups.enumerated() {
    events.append(.name("process_name", group.name.isEmpty ? "timeline" : group.name, process: process, thread: 0))
    events.append(.order("process_sort_index", process, process: process, thread: 0))
    var thread = 0
    for track in group.tracks {
      for (lane, spans) in track.lanes.enumerated() {
        let name = lane == 0 ? track.name : "\(track.name) (\(lane + 1))"
        events.append(.name("thread_name", name, process: process, thread: thread))
        events.append(.order("thread_sort_index", thread, process: process, thread: thread))
        events += spans.map { .span($0, process: process, thread: thread) }
        thread += 1
      }
    }
  }
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys]
  // Encoding fails only for numbers that are not finite, and the layout has none.
  guard let data = try? encoder.encode(TraceFile(displayTimeUnit: "ms", traceEvents: events)) else {
    preconditionFailure("a layout has finite times")
  }
  return String(decoding: data, as: UTF8.self) + "\n"
}

private struct TraceFile: Encodable {
  let displayTimeUnit: String
  let traceEvents: [TraceEvent]
}

/// One event, with the format's own keys: ph is the phase (X a span, M what something is called), ts and dur are
/// microseconds.
private struct TraceEvent: Encodable {
  struct Arguments: Encodable {
    var name: String?
    var sort_index: Int?
  }

  let name: String
  let ph: String
  let pid: Int
  let tid: Int
  var cat: String?
  var ts: Double?
  var dur: Double?
  var args: Arguments?

  static func span(_ span: TimelineSpan, process: Int, thread: Int) -> TraceEvent {
    TraceEvent(
      name: span.name, ph: "X", pid: process, tid: thread, cat: span.kind.rawValue, ts: span.start * 1e6,
      dur: (span.end - span.start) * 1e6)
  }

  static func name(_ event: String, _ name: String, process: Int, thread: Int) -> TraceEvent {
    TraceEvent(name: event, ph: "M", pid: process, tid: thread, args: Arguments(name: name))
  }

  static func order(_ event: String, _ index: Int, process: Int, thread: Int) -> TraceEvent {
    TraceEvent(name: event, ph: "M", pid: process, tid: thread, args: Arguments(sort_index: index))
  }
}
