import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// What the end of a process means, under a clock that the test moves.
@Suite struct ProcessWatchTests {
  private final class Watch {}
  private let time = VirtualClock()

  @Test func endsAreJudgedByTheBoard() {
    var watch = ProcessWatch()
    #expect(watch.judge(1, .left, now: time.now) == .departed)
    #expect(watch.judge(2, .present, now: time.now) == .broken(0))
    #expect(watch.judge(3, .failed, now: time.now) == nil)
  }

  @Test func eachEndIsTakenOnce() {
    var watch = ProcessWatch()
    let gone = watch.watch([process(1): [1, 2], process(3): [3], process(4): [4]]) { process in
      switch process.pid {
      case 101: .watched(Watch())
      case 103: .gone
      default: .unwatchable
      }
    }
    #expect(gone == [3])
    #expect(watch.takeEnded(process(4)).isEmpty && watch.takeEnded(process(3)).isEmpty)
    #expect(watch.takeEnded(process(1)) == [1, 2] && watch.takeEnded(process(1)).isEmpty)
    // A number that another process has now.
    #expect(watch.takeEnded(ProcessIdentity(pid: 101, startTime: 8, namespace: 1)).isEmpty)
  }

  @Test func theKernelIsLetGo() {
    var watch = ProcessWatch()
    weak var first: Watch?
    weak var second: Watch?
    _ = watch.watch([process(1): [1], process(2): [2]]) { process in
      let handle = Watch()
      if process.pid == 101 { first = handle } else { second = handle }
      return .watched(handle)
    }
    #expect(first != nil && second != nil)
    _ = watch.takeEnded(process(1))
    #expect(first == nil && second != nil)
    watch.close()
    #expect(second == nil)
  }

  /// Whatever the order: nobody is overdue before a second has passed since its own end, and everybody is then, once.
  @Test(arguments: machineSeeds(100))
  func theCauseIsWaitedForASecond(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var watch = ProcessWatch()
    var ended: [Int: UInt64] = [:]
    var overdue: [Int: UInt64] = [:]
    var next = 0
    for _ in 0..<200 {
      if Int.random(in: 0..<3, using: &generator) == 0 {
        #expect(watch.judge(next, .failed, now: time.now) == nil)
        ended[next] = time.now
        next += 1
      }
      time.advance(UInt64.random(in: 0..<300, using: &generator) * Clock.millisecond)
      if Bool.random(using: &generator) {
        for rank in watch.takeOverdue(now: time.now) {
          #expect(overdue[rank] == nil && time.now >= ended[rank]! + Clock.second, "seed \(seed)")
          overdue[rank] = time.now
        }
        for (rank, start) in ended where overdue[rank] == nil {
          #expect(time.now < start + Clock.second, "seed \(seed)")
        }
      }
      let waiting = ended.filter { overdue[$0.key] == nil }.values.min()
      #expect(watch.nextDue == waiting.map { $0 + Clock.second }, "seed \(seed)")
    }
  }
}
