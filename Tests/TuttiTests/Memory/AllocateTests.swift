import CTuttiFork
import CTuttiLinux
import Foundation
import Testing
import TuttiTransport

@testable import Tutti

/// `Communicator.allocate`: what it gives, to whom it is registered, and what calls on it leave behind. That results are
/// right is for `RandomRunTests` and `CollectiveTests`, which mix registered and ordinary memory.
@Suite(.serialized) struct AllocateTests {
  @Test(arguments: Fabric.allCases) func isRegisteredWherePeersReachIt(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      for count in [0, 1, 5000, 1 << 20] {
        let buffer = try communicator.allocate(Float.self, count: count, repeating: 1.5)
        #expect(buffer.isRegistered == (fabric == .sharedMemory || fabric == .rdma))
        #expect(buffer.count == count && buffer.elements.allSatisfy { $0 == 1.5 })
        #expect(Int(bitPattern: buffer.pointer.baseAddress!) % 4096 == 0)
      }
    }
    try withRanks(1, fabric) { communicator in
      let own = try communicator.allocate(Int32.self, count: 10, repeating: 0)
      #expect(!own.isRegistered, "nobody is there to reach it")
    }
  }

  /// What devices do with it is for `RandomRunTests`; here, that it is the caller's before, between and after.
  @Test(arguments: Fabric.allCases) func memoryOfTheCallers(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 300_000, alignment: 1)
      defer { memory.deallocate() }
      let half = UnsafeMutableRawBufferPointer(rebasing: memory[..<150_000])
      try communicator.register(UnsafeMutableRawBufferPointer(start: nil, count: 0))
      for round in 0..<3 {
        try communicator.register(memory)
        for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: index + communicator.rank) }
        let base = try #require(memory.baseAddress)
        try communicator.allReduce(RawMemory(base, count: memory.count, type: .uint8), .sum)
        let wrong = memory.indices.first { memory[$0] != UInt8(truncatingIfNeeded: 2 * $0 + 1) }
        #expect(wrong == nil, "round \(round), element \(wrong ?? 0)")
        if fabric == .rdma {
          let again = #expect(throws: TuttiError.self) { try communicator.register(half) }
          #expect(again?.code == .invalidArgument && again?.rank == communicator.rank)
        }
        try communicator.barrier()
        try communicator.unregister(memory)
      }
      if fabric == .rdma {
        let unknown = #expect(throws: TuttiError.self) { try communicator.unregister(half) }
        #expect(unknown?.code == .invalidArgument)
      }
      try communicator.barrier()
    }
  }

  @Test func refusals() throws {
    try withRanks(2, .sharedMemory) { communicator in
      for count in [-1, Int.max, Int.max / 8] {
        let error = #expect(throws: TuttiError.self) { _ = try communicator.allocate(count: count, repeating: 0.5) }
        #expect([.invalidArgument, .resources].contains(error?.code), "\(count): \(String(describing: error))")
      }
      let capacity = try #require(communicator.member.registeredMemory).capacity
      let error = #expect(throws: TuttiError.self) {
        _ = try communicator.allocate(UInt8.self, count: capacity + 1, repeating: 0)
      }
      #expect(error?.code == .resources && error?.rank == communicator.rank)
      // The communicator is as it was.
      try communicator.barrier()
    }
  }

  /// Calls on the same memory again and again, with its contents changed in between: what one call's peers read is not the
  /// next one's.
  @Test(arguments: [2, 3, 4]) func repeatedCalls(rankCount: Int) throws {
    try withRanks(rankCount, .sharedMemory) { communicator in
      let count = 40_000
      let buffer = try communicator.allocate(Int32.self, count: count, repeating: 0)
      for round in 0..<10 {
        for index in 0..<count { buffer[index] = Int32(index &* (round + 1) &+ communicator.rank) }
        if round % 2 == 0 {
          try communicator.startAllReduce(buffer, .sum).wait()
        } else {
          let base = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
          try communicator.allReduce(RawMemory(base, count: count, type: .int32), .sum)
        }
        let ranks = Int32(rankCount)
        let wrong = (0..<count).first {
          buffer[$0] != ranks &* Int32(truncatingIfNeeded: $0 &* (round + 1)) &+ ranks * (ranks - 1) / 2
        }
        try #require(wrong == nil, "round \(round), element \(wrong ?? 0)")
      }
    }
  }

  /// A part of a communicator uses what the whole has registered; a communicator of its own takes it for ordinary memory.
  @Test func otherCommunicators() throws {
    let others = try makeCommunicators(2, .sharedMemory)
    try withRanks(2, .sharedMemory) { communicator in
      let part = try communicator.duplicate()
      let buffer = try part.allocate(Int64.self, count: 50_000, repeating: 1)
      #expect(buffer.isRegistered)
      let arena = try #require(communicator.member.registeredMemory)
      #expect(part.member.registeredMemory === arena)
      for user in [communicator, part, others[communicator.rank]] {
        try user.startAllReduce(buffer, .sum).wait()
      }
      #expect(buffer.elements.allSatisfy { $0 == 8 })
      part.close()
      others[communicator.rank].close()
      // It outlives the communicator that allocated it.
      try communicator.startAllReduce(buffer, .sum).wait()
      #expect(buffer.elements.allSatisfy { $0 == 16 })
    }
  }

  /// What is freed is gone: the next buffer has its place, and nothing of what it held.
  @Test func memoryComesBack() throws {
    try withRanks(2, .sharedMemory) { communicator in
      var first: UnsafeMutableRawPointer?
      for _ in 0..<5 {
        let buffer = try communicator.allocate(UInt8.self, count: 64 << 20, repeating: 7)
        let place = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
        #expect(first == nil || first == place)
        first = place
        try communicator.barrier()
      }
      let arena = try #require(communicator.member.registeredMemory)
      let memory = try arena.allocate(bytes: 64 << 20)
      #expect(memory == first && memory.load(as: UInt64.self) == 0)
      arena.deallocate(memory, bytes: 64 << 20)
    }
  }

  /// After an error the caller's memory is the caller's: the others neither write into it, nor end well with what they read
  /// of it.
  @Test(.timeLimit(.minutes(2 * slowness)), arguments: [false, true]) func failureInTheMiddle(isSlow: Bool) throws {
    for round in 0..<20 {
      let communicators = try makeCommunicators(3, .sharedMemory)
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let count = 2 << 20
        let input = try communicator.allocate(Int32.self, count: count, repeating: 1)
        let output = try communicator.allocate(Int32.self, count: count, repeating: -1)
        try communicator.barrier()
        do throws(TuttiError) {
          for _ in 0..<1000 {
            let work = try communicator.startAllReduce(
              RawMemory(input.pointer.baseAddress!, count: count, type: .int32),
              to: RawMemory(output.pointer.baseAddress!, count: count, type: .int32), .sum)
            if communicator.rank == 1 {
              usleep(UInt32(isSlow ? 100 * round : 10 * round))
              communicator.abort("enough")
            }
            try work.wait()
            let wrong = output.elements.first { $0 != 3 }
            if wrong != nil { Issue.record("a call that ended well left \(wrong!)") }
          }
        } catch {
          // From here the memory is this rank's own.
          memset(input.pointer.baseAddress!, 0x11, count * 4)
          memset(output.pointer.baseAddress!, 0x22, count * 4)
          usleep(3000)
          if output.elements.contains(where: { $0 != 0x2222_2222 }) { Issue.record("written after the call had failed") }
          throw error
        }
      }
      for ending in ended { #expect(ending.error != nil) }
      communicators.forEach { $0.close() }
    }
  }

  /// A rank that closes in the middle of a call gets its memory back at once: no other rank ends well with what it then
  /// reads there.
  @Test(.timeLimit(.minutes(2 * slowness)), arguments: [false, true]) func closedInTheMiddle(isRegistered: Bool) throws {
    for round in 0..<10 {
      let communicators = try makeCommunicators(2, .sharedMemory)
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        // As much as a start sends at once, so that nothing more is needed of the rank that closes.
        let count = 64 << 10
        let input =
          isRegistered
          ? try communicator.allocate(Int32.self, count: count, repeating: 7) : TuttiBuffer(count: count, repeating: 7)
        let output = try communicator.allocate(Int32.self, count: count, repeating: -1)
        try communicator.barrier()
        // The first call opens what is needed.
        try communicator.broadcast(
          RawMemory(communicator.rank == 0 ? UnsafeRawPointer(input.pointer.baseAddress!) : nil, count: count, type: .int32),
          to: RawMemory(output.pointer.baseAddress!, count: count, type: .int32), root: 0, algorithm: "direct")
        if communicator.rank == 1 { usleep(UInt32(3000 + 100 * round)) }
        let work = try communicator.startBroadcast(
          RawMemory(communicator.rank == 0 ? UnsafeRawPointer(input.pointer.baseAddress!) : nil, count: count, type: .int32),
          to: RawMemory(output.pointer.baseAddress!, count: count, type: .int32), root: 0, algorithm: "direct")
        if communicator.rank == 0 {
          communicator.close()
          memset(input.pointer.baseAddress!, 0x11, count * 4)
          return
        }
        try work.wait()
        let wrong = output.elements.first { $0 != 7 }
        if wrong != nil { Issue.record("round \(round): ended well, with \(wrong!)") }
      }
      #expect(ended[0].error == nil)
      communicators.forEach { $0.close() }
    }
  }

  /// A child that drops a buffer of its parent leaves the parent's memory, and its own files, alone.
  @Test func forkedChild() throws {
    try withRanks(2, .sharedMemory) { communicator in
      guard communicator.rank == 0 else { return try communicator.barrier() }
      let arena = try #require(communicator.member.registeredMemory)
      let memory = try arena.allocate(bytes: 1 << 20)
      memset(memory, 0x5A, 1 << 20)
      let drop: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
        let (arena, memory) = context!.assumingMemoryBound(to: (RegisteredMemory, UnsafeMutableRawPointer).self).pointee
        arena.deallocate(memory, bytes: 1 << 20)
        return 0
      }
      var context = (arena, memory)
      let status = withUnsafeMutablePointer(to: &context) { tutti_fork_call(drop, $0, 20) }
      #expect(status == 0)
      #expect((0..<1 << 20).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0x5A })
      arena.deallocate(memory, bytes: 1 << 20)
      try communicator.barrier()
    }
  }
}
