import Testing
import TuttiTransport

@testable import TuttiEngine

/// The comparison of data paths, without an engine: operations are numbers, and take as long as the test says.
struct DataPathTests {
  /// Runs operations from `first` on, each as long as its way takes.
  ///
  /// - Returns: Which way each of them went, and how many were timed.
  private func run(
    _ path: inout DataPath, _ operations: Range<UInt64>, allowed: SegmentWays = .all,
    nanoseconds: (SegmentWay, UInt64) -> UInt64
  ) -> (ways: [SegmentWay], timed: Int) {
    var ways: [SegmentWay] = []
    var timed = 0
    for operation in operations {
      let isTimed = path.begin(operation, allowed: allowed)
      ways.append(path.way)
      if isTimed {
        timed += 1
        path.end(nanoseconds: nanoseconds(path.way, operation))
      }
    }
    return (ways, timed)
  }

  /// Operations until a path with all ways has compared them.
  private static let settled = UInt64(
    DataPath.settlingOperations + DataPath(startingWith: .held, among: .all).comparisonLength)

  @Test(arguments: SegmentWay.allCases, SegmentWay.allCases)
  func theFastestWayIsTaken(first: SegmentWay, best: SegmentWay) {
    var path = DataPath(startingWith: first, among: .all)
    let ways = run(&path, 1..<Self.settled + 20) { way, _ in way == best ? 1_000 : 2_000 }.ways
    #expect(ways.prefix(DataPath.settlingOperations - 1).allSatisfy { $0 == first })
    #expect(ways.suffix(20).allSatisfy { $0 == best })
    #expect(path.hasCompared)
  }

  /// Of two ways nothing is known of the third, and one alone is never timed.
  @Test(arguments: SegmentWay.allCases) func onlyCandidatesAreTried(missing: SegmentWay) {
    let two = SegmentWays.all.subtracting(SegmentWays(rawValue: 1 << missing.rawValue))
    #expect(two.count == 2)
    // Links may have fewer ways than the calls.
    for allowed in [two, .all] {
      var path = DataPath(startingWith: allowed == .all ? two.way(at: 1) : missing, among: allowed == .all ? two : .all)
      let result = run(&path, 1..<1_000, allowed: allowed) { way, _ in way == two.way(at: 0) ? 1_000 : 2_000 }
      #expect(!result.ways.contains(missing))
      #expect(result.ways.last == two.way(at: 0))
    }
    let one = SegmentWays(rawValue: 1 << missing.rawValue)
    var path = DataPath(startingWith: two.way(at: 0), among: .all)
    let result = run(&path, 1..<1_000, allowed: one) { _, _ in 1_000 }
    #expect(result.timed == 0 && result.ways.allSatisfy { $0 == missing })
  }

  /// What links allow may change in the middle of a comparison.
  @Test func aWayIsTakenAwayMeanwhile() {
    var path = DataPath(startingWith: .held, among: .all)
    _ = run(&path, 1..<Self.settled - 5) { _, _ in 1_000 }
    let isTimed = path.begin(Self.settled, allowed: .all)
    #expect(isTimed)
    _ = path.begin(Self.settled + 1, allowed: [.window, .streamedWindow])
    path.end(nanoseconds: 10)
    let ways = run(&path, Self.settled + 2..<Self.settled + 500, allowed: [.window, .streamedWindow]) { way, _ in
      way == .streamedWindow ? 1_000 : 2_000
    }.ways
    #expect(!ways.contains(.held) && ways.last == .streamedWindow)
  }

  /// Ways that are alike never take turns but in a comparison.
  @Test func noFlapping() {
    var path = DataPath(startingWith: .held, among: .all)
    let result = run(&path, 1..<20_000) { way, operation in
      way == .held ? 1_020 + operation % 7 : 1_000 + operation % 30
    }
    let changes = zip(result.ways, result.ways.dropFirst()).count { $0 != $1 }
    let comparisons = result.timed / path.comparisonLength
    #expect(changes <= comparisons * (DataPath.roundCount * 3 + 1))
    // They come at twice the distance each time, up to a largest one.
    #expect((7...12).contains(comparisons), "\(comparisons) comparisons")
  }

  /// What becomes slower is left, within the largest distance between two comparisons.
  @Test func changesAreFollowed() {
    var path = DataPath(startingWith: .held, among: .all)
    _ = run(&path, 1..<30_000) { way, _ in way == .held ? 1_000 : 2_000 }
    #expect(path.way == .held)
    // A comparison may be under way at either end.
    let later = 30_000..<30_000 + UInt64(DataPath.intervalMax + 2 * path.comparisonLength)
    let ways = run(&path, later) { way, _ in way == .window ? 2_000 : 4_000 }.ways
    #expect(ways.last == .window)
  }

  /// A rank that comes late now and then makes some operations slow, whichever way they go.
  @Test func lateRanksDoNotDecide() {
    var path = DataPath(startingWith: .window, among: .all)
    let ways = run(&path, 1..<Self.settled + 10) { way, operation in
      way == .window ? operation % 2 == 0 ? 50_000 : 1_000 : operation % 3 == 0 ? 90_000 : 1_500
    }.ways
    #expect(ways.last == .window)
  }
}
