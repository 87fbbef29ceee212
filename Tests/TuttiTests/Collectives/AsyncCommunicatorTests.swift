import Foundation
import Testing
import TuttiSystem
import TuttiTesting
import TuttiTopology

@testable import Tutti

/// Joining, splitting and closing from tasks: whoever waits for other ranks blocks no thread of Swift's pool.
@Suite(.serialized) struct AsyncCommunicatorTests {
  /// More ranks than the pool has threads, so that ranks that blocked one each would never be all there.
  static let rankCount = ProcessInfo.processInfo.activeProcessorCount + 2

  private static func options() -> CommunicatorOptions {
    var options = CommunicatorOptions()
    options.joinTimeout = .seconds(20 * slowness)
    options.timeout = .seconds(20 * slowness)
    return options
  }

  private static func forEachRank(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for rank in 0..<rankCount { group.addTask { try await body(rank) } }
      try await group.waitForAll()
    }
  }

  private static func newAddress() -> String { "unix:@tutti-async-\(UUID().uuidString.prefix(12))" }

  @Test func everyRankIsATask() async throws {
    let address = Self.newAddress()
    try await Self.forEachRank { rank in
      let communicator = try await Communicator.join(
        environment: environment(rank, Self.rankCount, address), options: Self.options())
      #expect(communicator.rank == rank && communicator.rankCount == Self.rankCount)
      try await communicator.checkAgreement([("batch", "64")])
      let all = try await communicator.duplicate()
      let half = try #require(try await communicator.split(color: rank % 2))
      let values = TuttiBuffer<Int32>(count: 100, repeating: 1)
      try await half.startAllReduce(values, .sum).finish()
      #expect(values.elements == Array(repeating: Int32(half.rankCount), count: 100))
      try await all.startBarrier().finish()
      for one in [half, all, communicator] { await one.close() }
      let error = await #expect(throws: TuttiError.self) { try await all.duplicate() }
      #expect(error?.code == .closed)
    }
  }

  @Test func ranksMeetAtAnAddressAndOverAStore() async throws {
    let address = Self.newAddress()
    let server = try RendezvousServer(address: Self.newAddress(), secret: [1, 2, 3])
    defer { server.close() }
    try await Self.forEachRank { rank in
      let secret = JoinSecret.bytes([4, 5, 6])
      let met = try await Communicator.join(
        rank: rank, rankCount: Self.rankCount, address: address, secret: secret, options: Self.options(), environment: [:])
      let stored = try await Communicator.join(
        rank: rank, rankCount: Self.rankCount, rendezvous: server, secret: secret, options: Self.options(),
        environment: [:])
      for communicator in [met, stored] {
        let value = TuttiBuffer<Int64>([Int64(rank)])
        try await communicator.startAllReduce(value, .max).finish()
        #expect(value[0] == Int64(Self.rankCount - 1))
        await communicator.close()
      }
    }
  }

  /// What ranks count on goes on, whatever becomes of a task.
  @Test func cancellingChangesNothing() async throws {
    let address = Self.newAddress()
    let first = Task {
      while !Task.isCancelled { await Task.yield() }
      let communicator = try await Communicator.join(environment: environment(0, 2, address), options: Self.options())
      try await communicator.startBarrier().finish()
      await communicator.close()
    }
    first.cancel()
    let communicator = try await Communicator.join(environment: environment(1, 2, address), options: Self.options())
    try await communicator.startBarrier().finish()
    await communicator.close()
    try await first.value
  }

  @Test func errorsAreThoseOfTheBlockingForms() async throws {
    let settings = await #expect(throws: TuttiError.self) { try await Communicator.join(environment: ["TUTTI_RANK": "x"]) }
    #expect(settings?.code == .configuration)
    let place = await #expect(throws: TuttiError.self) {
      try await Communicator.join(rank: 2, rankCount: 2, address: Self.newAddress(), environment: [:])
    }
    #expect(place?.code == .invalidArgument)
    let name = await #expect(throws: TuttiError.self) {
      let server = try RendezvousServer(address: Self.newAddress(), secret: [1])
      defer { server.close() }
      return try await Communicator.join(rank: 0, rankCount: 2, rendezvous: server, name: "", environment: [:])
    }
    #expect(name?.code == .invalidArgument)
  }

  /// The thread that is confined is the one that waited, which ends.
  @Test(.enabled(if: ThreadAffinityTests.own.count >= 2, "needs two processors"))
  func noThreadOfThePoolIsConfined() async throws {
    let lists = ThreadAffinityTests.own.numbers.prefix(2).map(String.init)
    let address = Self.newAddress()
    let communicators = try await withThrowingTaskGroup(of: Communicator.self) { group in
      for rank in 0..<2 {
        group.addTask {
          let variables = environment(rank, 2, address).merging(["TUTTI_CPU_AFFINITY": lists.joined(separator: ";")]) { $1 }
          return try await Communicator.join(environment: variables, options: Self.options())
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    func confined() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").filter { thread in
        let status = (try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8)) ?? ""
        return lists.contains { status.contains("Cpus_allowed_list:\t\($0)\n") }
      }
    }
    // Those that waited may be on their way out.
    let end = ContinuousClock.now + .seconds(5 * slowness)
    while try !confined().isEmpty, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(5)) }
    #expect(try confined().isEmpty)
    for communicator in communicators { await communicator.close() }
  }
}
