// What happened when, on which track. Invariant: spans in one lane do not overlap.

/// A stretch of time on a track.
public struct TimelineSpan: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case forward, backward, communication, waiting, optimizer, other
  }

  /// Where it is drawn: a group and what is in it, such as "rank 0 compute" and "rank 0 communication". The last word is the
  /// track's own name, those before it are the group's; a group's tracks are drawn together, compute first.
  public var track: String
  public var name: String
  public var kind: Kind
  /// Seconds, from any origin that all spans share.
  public var start: Double
  public var end: Double

  public init(track: String, name: String, kind: Kind, start: Double, end: Double) {
    self.track = track
    self.name = name
    self.kind = kind
    self.start = start
    self.end = end
  }
}

/// Spans in groups (ranks), tracks and lanes, their times counted from the first start. Spans that have no place in time
/// (NaN, an end before the start) are left out.
struct TimelineLayout {
  struct Track {
    let name: String
    /// At least one; overlapping spans lie in different lanes.
    let lanes: [[TimelineSpan]]
  }

  struct Group {
    let name: String
    let tracks: [Track]
  }

  let groups: [Group]
  /// Seconds from the first start to the last end.
  let duration: Double

  init(_ spans: [TimelineSpan]) {
    let valid = spans.filter { Axis.isDrawable($0.start) && Axis.isDrawable($0.end) && $0.end >= $0.start }
    let origin = valid.map(\.start).min() ?? 0
    duration = (valid.map(\.end).max() ?? 0) - origin
    var tracks: [String: [TimelineSpan]] = [:]
    for var span in valid {
      span.start -= origin
      span.end -= origin
      tracks[span.track, default: []].append(span)
    }
    var groups: [String: [Track]] = [:]
    for (track, spans) in tracks {
      let words = track.split(separator: " ")
      let name = words.count > 1 ? String(words[words.count - 1]) : track
      groups[words.dropLast().joined(separator: " "), default: []].append(
        Track(name: name, lanes: TimelineLayout.lanes(spans)))
    }
    self.groups = groups.map { name, tracks in
      Group(
        name: name,
        tracks: tracks.sorted { ($0.name == "compute" ? 0 : 1, $0.name) < ($1.name == "compute" ? 0 : 1, $1.name) })
    }.sorted { TimelineLayout.order($0.name) < TimelineLayout.order($1.name) }
  }

  /// "rank 2" before "rank 10".
  private static func order(_ name: String) -> (Int, String) {
    (name.split(separator: " ").last.flatMap { Int($0) } ?? .max, name)
  }

  /// Each span in the first lane that is free when it starts: the fewest lanes there can be.
  private static func lanes(_ spans: [TimelineSpan]) -> [[TimelineSpan]] {
    var lanes: [[TimelineSpan]] = []
    for span in spans.sorted(by: { ($0.start, $0.end, $0.name) < ($1.start, $1.end, $1.name) }) {
      if let free = lanes.firstIndex(where: { $0[$0.count - 1].end <= span.start }) {
        lanes[free].append(span)
      } else {
        lanes.append([span])
      }
    }
    return lanes
  }
}
