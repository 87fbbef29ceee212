import TuttiSystem

@testable import TuttiBootstrap

/// Seeds that each randomised test of a machine runs through: one that `TUTTI_TEST_SEED` names, or many that follow a random
/// one.
func machineSeeds(_ count: Int) -> [UInt64] {
  let first = SeededGenerator.seed()
  return environmentNamesSeed ? [first] : (0..<UInt64(count)).map { first &+ $0 }
}

/// A clock that a test moves; whoever waits by it moves it, too.
final class VirtualClock: Sendable {
  private let time = Lock(1000 * Clock.second)

  var now: UInt64 { time.withLock { $0 } }

  func advance(_ nanoseconds: UInt64) { time.withLock { $0 += nanoseconds } }

  var clock: MonotonicClock { MonotonicClock({ self.now }, pause: { self.advance($0) }) }

  /// One that only the test moves: whoever waits by it looks again a moment later.
  var standing: MonotonicClock { MonotonicClock { self.now } }
}

/// One end of an edge in memory. What is sent is on its way until the test delivers it to the other end.
final class MemoryChannel: EdgeChannel {
  private(set) var isClosed = false
  /// What the other end has yet to get.
  var onItsWay: [[UInt8]] = []
  /// What has come here.
  var arrived: [[UInt8]] = []
  var state = FramedConnection.State.open
  /// What waits because nobody reads it.
  var queuedBytes = 0
  let traffic = ControlTraffic()
  /// Whether there is always more to come.
  var isEndless = false
  private(set) var fills = 0

  func send(_ frame: [UInt8]) { if !isClosed { onItsWay.append(frame) } }

  func flush() {}

  func fill() -> Bool {
    fills += 1
    return isEndless
  }

  func nextFrame() -> [UInt8]? { arrived.isEmpty ? nil : arrived.removeFirst() }

  func close() { isClosed = true }

  /// The messages that are on their way.
  func messages(rankCount: Int) -> [ControlMessage] { onItsWay.compactMap { try? ControlMessage($0, rankCount: rankCount) } }
}

/// The departure board of ranks that a test plays.
final class MemoryBoard: DepartureMarks {
  private let marks = Lock<[Int: DepartureMark]>([:])

  func mark(_ rank: Int, _ mark: DepartureMark) {
    marks.withLock { marks in
      if mark == .left || marks[rank] == nil { marks[rank] = mark }
    }
  }

  subscript(rank: Int) -> DepartureMark { marks.withLock { $0[rank] } ?? .present }
}

func process(_ rank: Int) -> ProcessIdentity { ProcessIdentity(pid: Int32(100 + rank), startTime: 7, namespace: 1) }
