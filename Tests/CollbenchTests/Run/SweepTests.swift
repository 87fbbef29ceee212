import Foundation
import Testing

@testable import collbench

/// What nccl-tests' users ask of a sweep: all types and operations, calls back to back, a time instead of a count.
@Suite(.serialized) struct SweepTests {
  private func run(_ arguments: String) async throws -> [[String: Any]] {
    let outcome = try await Tool.run(arguments + " --format json", limit: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try results(outcome.output)
  }

  @Test func allTypesAndOperations() async throws {
    let all = try await run("all-reduce --ranks 3 --dtype all --op all --sizes 8,4K --iterations 1 --warmup 0")
    let pairs = all.map { "\($0["dtype"] ?? "") \($0["op"] ?? "")" }
    // Nine integers and bool have seven operations, four floating-point types five.
    let kinds = Set(pairs).count
    #expect(kinds == 83)
    #expect(pairs.count == 2 * kinds)
    #expect(all.allSatisfy { $0["wrongElements"] as? Int == 0 })
  }

  @Test func allTypesThatAnOperationHas() async throws {
    let averages = try await run("reduce --ranks 2 --dtype all --op average --sizes 8 --iterations 1")
    #expect(averages.compactMap { $0["dtype"] as? String } == ["float16", "bfloat16", "float32", "float64"])
    let moved = try await run("all-gather --ranks 2 --dtype all --sizes 64 --iterations 1")
    #expect(moved.count == 13 && moved.allSatisfy { $0["op"] is NSNull })
  }

  @Test(arguments: ["shm", "tcp"]) func unaligned(transport: String) async throws {
    for collective in ["all-reduce", "reduce-scatter", "all-gather", "all-to-all", "broadcast", "send-receive"] {
      let all = try await run(
        "\(collective) --ranks 3 --transport \(transport) --unaligned --dtype float64 --sizes 8,4K,300K,3M --iterations 2")
      #expect(all.count == 4 && all.allSatisfy { $0["wrongElements"] as? Int == 0 }, "\(collective)")
    }
  }

  @Test(arguments: ["all-reduce", "broadcast --root 1", "barrier"]) func backToBack(collective: String) async throws {
    let sizes = collective == "barrier" ? "" : "--sizes 8,64K"
    for result in try await run("\(collective) --ranks 3 --back-to-back \(sizes) --iterations 47") {
      #expect(result["iterations"] as? Int == 47)
      #expect(result["wrongElements"] as? Int == 0)
    }
  }

  @Test(arguments: ["", "--back-to-back"]) func duration(manner: String) async throws {
    let clock = ContinuousClock()
    var all: [[String: Any]] = []
    let elapsed = try await clock.measure {
      all = try await run("all-reduce --ranks 2 --sizes 8,4K --duration 1 --warmup 1 \(manner)")
    }
    #expect(elapsed >= .seconds(2))
    #expect(all.count == 2 && all.allSatisfy { $0["wrongElements"] as? Int == 0 })
    for result in all { #expect(try #require(result["iterations"] as? Int) >= 1) }
  }

  /// Of more samples than fit the statistics are still right.
  @Test func samplesAreThinnedOut() {
    var samples = Samples(capacity: 64)
    for value in 1...1000 { samples.add(Double(value), iterations: 2) }
    samples.sort()
    #expect(samples.iterationCount == 2000)
    #expect(samples.minimum == 1 && samples.maximum == 1000 && samples.mean == 500.5)
    #expect((460...540).contains(samples.median), "\(samples.median)")
    #expect((950...1000).contains(samples.percentile99), "\(samples.percentile99)")
  }

  @Test func fewSamplesAreExact() {
    var samples = Samples()
    for value in [4.0, 1, 3, 2] { samples.add(value, iterations: 1) }
    samples.sort()
    #expect(samples.median == 2.5 && samples.percentile99 == 4 && samples.mean == 2.5)
  }
}
