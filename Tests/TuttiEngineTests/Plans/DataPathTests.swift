import Testing

@testable import TuttiEngine

/// The comparison of two data paths, without an engine: operations are numbers, and take as long as the test says.
struct DataPathTests {
  /// Runs operations from `first` on, each as long as its way takes.
  ///
  /// - Returns: Which of them went through windows, and how many were timed.
  private func run(
    _ path: inout DataPath, _ operations: Range<UInt64>, windows: (UInt64) -> UInt64, source: (UInt64) -> UInt64
  ) -> (windows: [Bool], timed: Int) {
    var ways: [Bool] = []
    var timed = 0
    for operation in operations {
      let isTimed = path.begin(operation)
      ways.append(path.usesWindows)
      if isTimed {
        timed += 1
        path.end(nanoseconds: path.usesWindows ? windows(operation) : source(operation))
      }
    }
    return (ways, timed)
  }

  private static let comparison = DataPath.runLength * DataPath.runCount
  private static let settled = UInt64(DataPath.settlingOperations + comparison)

  @Test(arguments: [false, true]) func theFasterWayIsTaken(startsWithWindows: Bool) {
    var path = DataPath(startsWithWindows: startsWithWindows)
    let ways = run(&path, 1..<Self.settled + 20, windows: { _ in 1_000 }, source: { _ in 2_000 }).windows
    #expect(ways.prefix(DataPath.settlingOperations - 1).allSatisfy { $0 == startsWithWindows })
    #expect(ways.suffix(20).allSatisfy { $0 })
    var other = DataPath(startsWithWindows: startsWithWindows)
    let others = run(&other, 1..<Self.settled + 20, windows: { _ in 2_000 }, source: { _ in 1_000 }).windows
    #expect(others.suffix(20).allSatisfy { !$0 })
  }

  /// Two ways that are alike never take turns but in a comparison.
  @Test func noFlapping() {
    var path = DataPath(startsWithWindows: false)
    let result = run(&path, 1..<20_000, windows: { 1_000 + $0 % 30 }, source: { 1_020 + $0 % 7 })
    let changes = zip(result.windows, result.windows.dropFirst()).count { $0 != $1 }
    let comparisons = result.timed / Self.comparison
    #expect(changes <= comparisons * DataPath.runCount)
    // They come at twice the distance each time, up to a largest one.
    #expect((7...12).contains(comparisons), "\(comparisons) comparisons")
  }

  /// What becomes slower is left, within the largest distance between two comparisons.
  @Test func changesAreFollowed() {
    var path = DataPath(startsWithWindows: false)
    _ = run(&path, 1..<30_000, windows: { _ in 2_000 }, source: { _ in 1_000 })
    #expect(!path.usesWindows)
    // A comparison may be under way at either end.
    let later = 30_000..<30_000 + UInt64(DataPath.intervalMax + 2 * Self.comparison)
    let ways = run(&path, later, windows: { _ in 2_000 }, source: { _ in 4_000 }).windows
    #expect(ways.last == true)
  }

  /// A rank that comes late now and then makes some operations slow, whichever way they go.
  @Test func lateRanksDoNotDecide() {
    var path = DataPath(startsWithWindows: true)
    let ways = run(
      &path, 1..<Self.settled + 10, windows: { $0 % 2 == 0 ? 50_000 : 1_000 }, source: { $0 % 3 == 0 ? 90_000 : 1_500 })
    #expect(ways.windows.last == true)
  }
}
