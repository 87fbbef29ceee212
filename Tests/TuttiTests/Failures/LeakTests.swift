import TuttiSystem
import Foundation
import Testing

@testable import Tutti

/// Thousands of communicators made, used and closed leave nothing in their process: no descriptor, mapping or thread, and no
/// memory that grows with their number. (What a killed process leaves is for the kernel to clean up, and `CollbenchTests`
/// looks that it can.)
///
/// `TUTTI_TEST_COMMUNICATORS` is how many of each kind, 10,000 by default; full joins are a thirtieth of it.
@Suite(.serialized) struct LeakTests {
  /// Under a sanitizer each takes ten times as long, and freed memory is kept back on purpose.
  private static let isSanitized = ProcessInfo.processInfo.environment["TUTTI_TEST_SANITIZER"] != nil
  private static let communicatorCount =
    ProcessInfo.processInfo.environment["TUTTI_TEST_COMMUNICATORS"].flatMap(Int.init) ?? (isSanitized ? 1000 : 10_000)

  /// What this process holds.
  private struct Holdings {
    let descriptors: Int
    let mappings: Int
    let threads: Int
    let residentMebibytes: Double

    /// When threads that have ended are gone.
    init() throws {
      Thread.sleep(forTimeInterval: 0.2)
      func count(_ folder: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count
      }
      descriptors = try count("fd")
      threads = try count("task")
      mappings = try #require(readSmallFile("/proc/self/maps", bytesMax: 1 << 20)).split(separator: "\n").count
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
      residentMebibytes = (Double(pages[1]) ?? 0) * Double(getpagesize()) / 1_048_576
    }
  }

  /// Makes and closes communicators in batches, and compares what is held after a tenth of them with what is held at the
  /// end.
  ///
  /// - Parameter make: Makes and closes as many as it is told.
  private func expectNothingStays(_ total: Int, _ kind: String, make: (Int) throws -> Void) throws {
    let batch = max(1, total / 20)
    var made = 0
    var early: Holdings?
    while made < total {
      try make(batch)
      made += batch
      if early == nil && made >= total / 10 { early = try Holdings() }
    }
    let (before, after) = (try #require(early), try Holdings())
    FileHandle.standardError.write(Data("LeakTests: \(made) \(kind): \(before) then \(after)\n".utf8))
    #expect(after.descriptors <= before.descriptors + 3)
    // The test library has a thread or two that come and go; the C library keeps stacks and heaps of threads that ended.
    #expect(after.threads <= before.threads + 3)
    #expect(after.mappings <= before.mappings + 60)
    if !Self.isSanitized { #expect(after.residentMebibytes <= before.residentMebibytes + 12) }
  }

  @Test func inOneProcess() throws {
    try expectNothingStays(Self.communicatorCount, "in one process") { count in
      for round in 0..<count / 2 {
        let communicators = try Communicator.makeInProcess(rankCount: 2)
        if round % 16 == 0 {
          let works = try communicators.map { try $0.startAllReduce(TuttiBuffer<Float>(count: 100, repeating: 1), .sum) }
          for work in works { try work.wait() }
        }
        // Closing and dropping must do the same.
        if round % 2 == 0 { communicators.forEach { $0.close() } }
      }
    }
  }

  /// Every communicator has a region, a link, and control connections of its own; all of one rank's are made from one that
  /// it joined.
  @Test func duplicatesOverSharedMemory() throws {
    let parents = try makeCommunicators(2, .sharedMemory)
    try expectNothingStays(Self.communicatorCount, "duplicates over shared memory") { count in
      let ended = try endings(parents) { parent throws(TuttiError) in
        for round in 0..<count / 2 {
          let communicator = round % 3 == 0 ? try parent.split(color: 1, key: -parent.rank)! : try parent.duplicate()
          var values: [Int32] = [1, 2]
          try communicator.allReduce(&values, .sum)
          if round % 2 == 0 { communicator.close() }
        }
      }
      for ending in ended { #expect(ending.error == nil, "\(ending.error.map { "\($0)" } ?? "")") }
    }
    parents.forEach { $0.close() }
  }

  @Test func joins() throws {
    try expectNothingStays(Self.communicatorCount / 30, "joins over shared memory") { count in
      for _ in 0..<max(1, count / 2) {
        try withRanks(2, .sharedMemory) { communicator in
          var values: [Int32] = [1, 2]
          try communicator.allReduce(&values, .sum)
        }
      }
    }
  }
}
