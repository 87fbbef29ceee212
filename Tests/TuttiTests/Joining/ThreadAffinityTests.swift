import TuttiSystem
import TuttiTopology
import Foundation
import Testing

@testable import Tutti

/// Which threads of a process `TUTTI_CPU_AFFINITY` confines when it joins.
@Suite(.serialized) struct ThreadAffinityTests {
  static let own = ProcessorSet.ofCallingThread()

  /// What this process's progress threads may run on.
  private func progressThreads() -> [String] {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return threads.compactMap { thread in
      func text(_ file: String) -> String {
        (try? String(contentsOfFile: "/proc/self/task/\(thread)/\(file)", encoding: .utf8)) ?? ""
      }
      guard text("comm") == "tutti-progress\n" else { return nil }
      let line = text("status").split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
      return line?.split(whereSeparator: \.isWhitespace).last.map(String.init)
    }
  }

  @Test(.enabled(if: own.count >= 2, "needs two processors"), arguments: [TransportChoice.sharedMemory, .tcp])
  func joiningAndProgressThreads(transport: TransportChoice) throws {
    let lists = [Self.own.numbers[0], Self.own.numbers[1]].map(String.init)
    let rendezvous = "unix:@tutti-affinity-\(UUID().uuidString.prefix(12))"
    let joined = Lock<[Int: Communicator]>([:])
    try onThreads(2) { rank in
      var options = CommunicatorOptions()
      options.transport = transport
      do {
        let communicator = try Communicator.join(
          environment: environment(rank, 2, rendezvous).merging(["TUTTI_CPU_AFFINITY": lists.joined(separator: ";")]) { $1 },
          options: options)
        #expect(ProcessorSet.ofCallingThread().description == lists[rank])
        joined.withLock { $0[rank] = communicator }
      } catch { Issue.record("rank \(rank): \(error)") }
    }
    let communicators = joined.withLock { joined in (0..<2).compactMap { joined[$0] } }
    try #require(communicators.count == 2)
    #expect(ProcessorSet.ofCallingThread() == Self.own, "a thread that was there before is left alone")
    let before = progressThreads().count
    // Started by threads that are not confined; of a communicator that was split from the one that joined, too.
    let splits = Lock<[Communicator]>([])
    for ending in try endings(
      communicators,
      { communicator throws(TuttiError) in
        try communicator.startAllReduce(TuttiBuffer<Float>(count: 5, repeating: 1), .sum).wait()
        let split = try communicator.duplicate()
        try split.startAllReduce(TuttiBuffer<Float>(count: 5, repeating: 1), .sum).wait()
        splits.withLock { $0.append(split) }
      })
    { #expect(ending.error == nil) }
    #expect(
      try becomesTrue { progressThreads().count == before + 4 && Set(progressThreads()) == Set(lists) },
      "\(progressThreads())")
    for communicator in communicators + splits.withLock({ $0 }) { communicator.close() }
  }

  private func becomesTrue(_ condition: () -> Bool) throws -> Bool {
    let end = ContinuousClock.now + .seconds(5 * slowness)
    while !condition() {
      if ContinuousClock.now >= end { return false }
      Thread.sleep(forTimeInterval: 0.005)
    }
    return true
  }
}
