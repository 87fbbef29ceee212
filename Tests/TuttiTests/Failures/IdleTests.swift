import CTuttiFork
import CTuttiLinux
import Foundation
import Testing

@testable import Tutti

/// What communicators cost when nothing is called, what they leave behind, and how they get along with each other and with
/// fork.
@Suite(.serialized) struct IdleTests {
  /// Processor time of the whole process, user and system, in milliseconds.
  private func processorMilliseconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func milliseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1000 + Double(time.tv_usec) / 1000 }
    return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime)
  }

  /// Entries of a folder of /proc/self.
  private func count(_ folder: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count) ?? 0
  }

  @Test(arguments: Fabric.allCases, [false, true])
  func idleCommunicatorsUseNoProcessor(fabric: Fabric, wasAsynchronous: Bool) throws {
    let groups = try (0..<3).map { _ in try makeCommunicators(3, fabric) }
    for communicators in groups {
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        for _ in 0..<20 {
          try communicator.barrier()
          if wasAsynchronous { try communicator.startAllReduce(TuttiBuffer<Float>(count: 5000, repeating: 1), .sum).wait() }
        }
      }
      for ending in ended { #expect(ending.error == nil) }
    }
    Thread.sleep(forTimeInterval: 0.05)
    let before = processorMilliseconds()
    Thread.sleep(forTimeInterval: 1)
    let used = processorMilliseconds() - before
    #expect(used < 20, "9 idle ranks used \(used) ms of processor time in a second")
    groups.joined().forEach { $0.close() }
  }

  /// A rank that waits for a long time sleeps: blocked in a call, or with an operation in flight that nobody waits for.
  @Test(arguments: Fabric.allCases, [false, true])
  func longWaitsSleep(fabric: Fabric, isAsynchronous: Bool) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank > 0 {
        if isAsynchronous {
          let work = try communicator.startAllReduce(TuttiBuffer<Float>(count: 10, repeating: 1), .sum)
          Thread.sleep(forTimeInterval: 1.4)
          return try work.wait()
        }
        var values: [Float] = Array(repeating: 1, count: 10)
        return try communicator.allReduce(&values, .sum)
      }
      Thread.sleep(forTimeInterval: 0.2)
      let before = self.processorMilliseconds()
      Thread.sleep(forTimeInterval: 1)
      let used = self.processorMilliseconds() - before
      guard used < 50 else { return communicator.abort("2 waiting ranks used \(used) ms of processor time in a second") }
      var values: [Float] = Array(repeating: 1, count: 10)
      try communicator.allReduce(&values, .sum)
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// Made, used, and closed or dropped, also after failures: no descriptor, no thread and no mapping stays.
  @Test(arguments: Fabric.allCases)
  func nothingIsLeftBehind(fabric: Fabric) throws {
    func use(_ round: Int) throws {
      let communicators = try makeCommunicators(2 + round % 3, fabric)
      _ = try endings(communicators) { communicator throws(TuttiError) in
        if round % 4 == 3 && communicator.rank == 0 { return communicator.abort("on purpose") }
        try communicator.startAllReduce(TuttiBuffer<Float>(count: 50_000, repeating: 1), .sum).wait()
        try communicator.barrier()
        if round % 2 == 0 { communicator.close() }
      }
    }
    for round in 0..<8 { try use(round) }
    Thread.sleep(forTimeInterval: 0.2)
    let before = (descriptors: count("fd"), threads: count("task"), mappings: count("map_files"))
    for round in 0..<200 { try use(round) }
    Thread.sleep(forTimeInterval: 0.2)
    let after = (descriptors: count("fd"), threads: count("task"), mappings: count("map_files"))
    // The C library keeps the stacks of ended threads, and the test library a thread or two; neither grows with the rounds.
    #expect(
      after.descriptors <= before.descriptors + 5, "\(before.descriptors) descriptors before, \(after.descriptors) after")
    #expect(after.threads <= before.threads + 5, "\(before.threads) threads before, \(after.threads) after")
    #expect(after.mappings <= before.mappings + 60, "\(before.mappings) mappings before, \(after.mappings) after")
  }

  /// Communicators of one process neither mix up their data nor fail together.
  @Test func severalAtOnce() throws {
    let groups = try Fabric.allCases.flatMap { fabric in try (0..<2).map { _ in try makeCommunicators(2, fabric) } }
    let failures = Failures()
    try onThreads(groups.count * 2) { index in
      let (group, rank) = (index / 2, index % 2)
      failures.record {
        for round in 0..<100 {
          // One of them fails half way.
          if group == 1 && round == 50 { return groups[group][rank].abort("only this one") }
          do { try AllReduceTests.check(groups[group][rank], nil, count: 100 + group, salt: round + group) } catch let error
            as TuttiError where group == 1 && error.code == .aborted
          { return }
        }
      }
    }
    try failures.throwFirst()
    groups.joined().forEach { $0.close() }
  }

  /// One rank's thread uses several communicators with operations in flight on each.
  @Test func oneThreadManyCommunicators() throws {
    let groups = try Fabric.allCases.map { try makeCommunicators(3, $0) }
    let failures = Failures()
    try onThreads(3) { rank in
      failures.record {
        for round in 0..<30 {
          let started = try groups.map { try AsynchronousTests.Started($0[rank], nil, count: 2000, salt: round) }
          for one in rank == 1 ? started.reversed() : started { try one.finish() }
        }
      }
    }
    try failures.throwFirst()
    groups.joined().forEach { $0.close() }
  }

  // MARK: Fork

  /// In a forked child the communicator is dead, and dropping it harms neither the child nor the parent. The parent goes on.
  @Test(
    .enabled(if: ProcessInfo.processInfo.environment["TUTTI_TEST_SANITIZER"] == nil, "a sanitizer's child may deadlock"),
    arguments: Fabric.allCases)
  func aForkedChildHasNoCommunicator(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.startAllReduce(TuttiBuffer<Float>(count: 100, repeating: 1), .sum).wait()
    }
    for ending in ended { #expect(ending.error == nil) }
    let pending = try communicators[0].startAllReduce(TuttiBuffer<Float>(count: 100, repeating: 1), .sum)
    let attempt = ChildAttempt(communicator: communicators[0], pending: pending)
    let status = withExtendedLifetime(attempt) {
      tutti_fork_call(
        { Unmanaged<ChildAttempt>.fromOpaque($0!).takeUnretainedValue().run() },
        Unmanaged.passUnretained(attempt).toOpaque(), 5)
    }
    #expect(status == 0, "the child's step \(status) went wrong, or it hung (-1)")
    try communicators[1].startAllReduce(TuttiBuffer<Float>(count: 100, repeating: 1), .sum).wait()
    try pending.wait()
    communicators.forEach { $0.close() }
  }
}

/// What a forked child tries. Each step that does not do what it must ends it with a number of its own.
private final class ChildAttempt: Sendable {
  let communicator: Communicator
  let pending: Work

  init(communicator: Communicator, pending: Work) {
    self.communicator = communicator
    self.pending = pending
  }

  func run() -> Int32 {
    // Descriptors with the numbers that the communicator used in the parent.
    let pipes = (0..<20).map { _ -> [Int32] in
      var pair: [Int32] = [-1, -1]
      guard pipe(&pair) == 0, fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 else { return [] }
      return pair
    }
    if pipes.contains([]) { return 1 }
    if code({ () throws(TuttiError) in try communicator.barrier() }) != .closed { return 2 }
    if code({ () throws(TuttiError) in try pending.wait() }) != .closed { return 3 }
    // Its handler would never be called: the thread for handlers is the parent's.
    if code({ () throws(TuttiError) in try pending.whenEnded { _ in } }) != .closed { return 7 }
    let buffer = TuttiBuffer<Float>(count: 1, repeating: 1)
    if code({ () throws(TuttiError) in _ = try communicator.startAllReduce(buffer, .sum) }) != .closed { return 4 }
    communicator.abort("in the child")
    communicator.close()
    var byte: UInt8 = 0
    // Nobody wrote to what only looks like the doorbell, and nobody closed it.
    for pair in pipes {
      if read(pair[0], &byte, 1) != -1 || errno != EAGAIN { return 5 }
      if write(pair[1], &byte, 1) != 1 { return 6 }
    }
    return 0
  }

  private func code(_ body: () throws(TuttiError) -> Void) -> TuttiError.Code? {
    do throws(TuttiError) { try body() } catch { return error.code }
    return nil
  }
}
