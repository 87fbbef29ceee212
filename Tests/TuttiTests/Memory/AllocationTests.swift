import CTuttiAllocations
import Foundation
import Synchronization
import Testing

@testable import Tutti

/// In steady state an operation allocates nothing, on any thread.
@Suite(.serialized) struct AllocationTests {
  /// Under a sanitizer malloc is its own, and nothing is counted.
  static let isCounting = tutti_allocation_count() > 0

  enum Style: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case blocking, registered, started, pairs, barrier

    var testDescription: String { rawValue }
  }

  @Test(
    .enabled(if: isCounting, "a sanitizer's allocator counts nothing"), arguments: Fabric.allCases, Style.allCases)
  func steadyState(fabric: Fabric, style: Style) throws {
    for (rankCount, bytes) in [(2, 8), (2, 65_536), (4, 8), (4, 262_144)] {
      let communicators = try makeCommunicators(rankCount, fabric)
      let quietest = Mutex(UInt64.max)
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let buffer =
          style == .registered
          ? try communicator.allocate(UInt8.self, count: 4 * bytes, repeating: 0)
          : TuttiBuffer(count: 4 * bytes, repeating: 0)
        let memory = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
        defer { withExtendedLifetime(buffer) {} }
        try Self.repeatedly(200, style, communicator, memory, bytes)
        // Other tests' threads may allocate meanwhile, so the quietest of several stretches counts; an operation that
        // allocates does so in every one.
        for _ in 0..<5 {
          try communicator.barrier()
          let before = tutti_allocation_count()
          try Self.repeatedly(200, style, communicator, memory, bytes)
          try communicator.barrier()
          let count = tutti_allocation_count() - before
          // The last to leave must not be counted for what comes after the first.
          try communicator.barrier()
          if communicator.rank == 0 { quietest.withLock { $0 = min($0, count) } }
        }
      }
      for ending in ended { #expect(ending.error == nil) }
      let count = quietest.withLock { $0 }
      #expect(count == 0, "\(rankCount) ranks, \(bytes) bytes: \(count) allocations in 200 operations")
      communicators.forEach { $0.close() }
    }
  }

  private static func repeatedly(
    _ operations: Int, _ style: Style, _ communicator: Communicator, _ memory: UnsafeMutableRawPointer, _ bytes: Int
  ) throws(TuttiError) {
    for _ in 0..<operations {
      switch style {
      case .barrier:
        try communicator.barrier()
      case .blocking, .registered:
        try communicator.allReduce(
          RawMemory(memory, count: bytes / 4, type: .float32),
          to: RawMemory(memory + bytes, count: bytes / 4, type: .float32), .sum)
      case .started:
        try communicator.startAllReduce(
          RawMemory(memory, count: bytes / 4, type: .float32),
          to: RawMemory(memory + bytes, count: bytes / 4, type: .float32), .sum
        ).wait()
      case .pairs:
        let first = try communicator.startAllReduce(
          RawMemory(memory, count: bytes / 4, type: .float32),
          to: RawMemory(memory + bytes, count: bytes / 4, type: .float32), .sum)
        let second = try communicator.startAllReduce(
          RawMemory(memory + 2 * bytes, count: bytes / 8, type: .float64),
          to: RawMemory(memory + 3 * bytes, count: bytes / 8, type: .float64), .max)
        try second.wait()
        try first.wait()
      }
    }
  }
}
