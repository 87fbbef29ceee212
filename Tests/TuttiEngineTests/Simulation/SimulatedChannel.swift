import TuttiSystem
import TuttiTransport

/// What the two ends of a simulated link share: for each direction and lane, the segments on their way.
///
/// Side s sends in direction s. All in one thread.
final class SimulatedChannel {
  /// A segment that was sent and not consumed.
  struct Segment {
    var arrival: Arrival
    /// The payload is the sender's own memory, which may be read until the segment is consumed.
    var isHeld: Bool
    /// When it arrives.
    var visibleAt: UInt64
  }

  struct Stream {
    var segments: [Segment] = []
    var sent: UInt64 = 0
    var consumed: UInt64 = 0
    /// When the sender gets to know of each segment that was consumed, beginning with number `told + 1`.
    var news: [UInt64] = []
    var told: UInt64 = 0
    /// Which segments are held, by number, of those that the sender has not been told about.
    var held: [UInt64] = []
  }

  /// For each direction, its lanes.
  var streams: [[Stream]] = Array(repeating: Array(repeating: Stream(), count: Lane.count), count: 2)
  /// When the link was cut; what has not arrived by then is lost.
  var cutAt: UInt64?
  /// By side: it has been closed, or its memory revoked.
  var isGone = [false, false]
}

/// How a link behaves: late, in pieces, and short of room.
struct SimulatedWeather {
  /// A segment is on its way for at most so many nanoseconds.
  var delayMax: UInt64
  /// Of eight polls, so many say that there is no room.
  var refusals: Int
  /// Payloads are read in up to so many pieces, one a poll.
  var piecesMax: Int
  var needsProgress: Bool
  var composesInPlace: Bool
  /// Segments are placed where they were offered to go.
  var places: Bool

  init(using generator: inout SeededGenerator) {
    delayMax = [0, 2_000, 50_000].randomElement(using: &generator)!
    refusals = [0, 0, 3].randomElement(using: &generator)!
    piecesMax = [1, 1, 4].randomElement(using: &generator)!
    needsProgress = Bool.random(using: &generator)
    composesInPlace = Bool.random(using: &generator)
    places = Bool.random(using: &generator)
  }
}
