import Foundation
import Testing
import Tutti

/// `collbench run` of every collective, by every algorithm, over every transport; and of every type and operation.
@Suite(.serialized) struct CollectiveTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var algorithms: [String]
    var hasRoot = false
    var combines = false
    var hasBlocks = false
    /// busbw over algbw, of 5 ranks.
    var busFactor: Double
    var testDescription: String { name }

    init(
      _ name: String, _ algorithms: [String], hasRoot: Bool = false, combines: Bool = false, hasBlocks: Bool = false,
      busFactor: Double
    ) {
      (self.name, self.algorithms, self.hasRoot) = (name, algorithms, hasRoot)
      (self.combines, self.hasBlocks, self.busFactor) = (combines, hasBlocks, busFactor)
    }
  }

  static let cases = [
    Case("all-reduce", RunTests.allReduceAlgorithms, combines: true, busFactor: 1.6),
    Case("barrier", ["direct", "dissemination", "binomial"], busFactor: 0),
    Case(
      "reduce-scatter",
      ["distance-doubling", "ring", "swing", "bine", "pat", "circulant", "bruck", "recursive-halving", "direct"],
      combines: true, hasBlocks: true, busFactor: 0.8),
    Case(
      "all-gather", ["ring", "swing", "bine", "pat", "circulant", "bruck", "recursive-doubling", "direct"],
      hasBlocks: true, busFactor: 0.8),
    Case("broadcast", ["bine", "binomial", "chain", "direct", "scatter-all-gather"], hasRoot: true, busFactor: 1),
    Case(
      "reduce", ["distance-doubling", "bine", "binomial", "chain", "direct"], hasRoot: true, combines: true, busFactor: 1),
    Case("gather", ["bine", "binomial", "chain", "direct"], hasRoot: true, hasBlocks: true, busFactor: 0.8),
    Case("scatter", ["bine", "binomial", "chain", "direct"], hasRoot: true, hasBlocks: true, busFactor: 0.8),
    Case("all-to-all", ["pairwise", "bruck", "direct"], hasBlocks: true, busFactor: 0.8),
    Case("send-receive", [], busFactor: 1),
  ]

  /// Sizes of nothing, of less than one element for each rank, and of several segments; the last leave a remainder.
  @Test(arguments: cases, ["inprocess", "shm", "tcp"]) func everyAlgorithmIsRight(_ testCase: Case, transport: String)
    async throws
  {
    let sizes = testCase.name == "barrier" ? [0] : [0, 8, 1024, 300_004]
    let flags = testCase.name == "barrier" ? "" : "--sizes " + sizes.map(String.init).joined(separator: ",")
    let root = testCase.hasRoot ? "--root 3" : ""
    let outcome = try await Tool.run(
      "\(testCase.name) --ranks 5 --transport \(transport) --algorithm all \(flags) \(root) --iterations 2 --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    #expect(results.count == sizes.count * max(1, testCase.algorithms.count))
    for result in results { try check(result, testCase, transport: transport) }
    for size in sizes {
      let bytes = testCase.hasBlocks && size > 0 ? max(20, size / 20 * 20) : size
      let names = results.filter { $0["bytes"] as? Int == bytes }.compactMap { $0["algorithm"] as? String }
      #expect(names == testCase.algorithms, "\(bytes) bytes")
    }
  }

  private func check(_ result: Object, _ testCase: Case, transport: String) throws {
    #expect(Set(result.keys) == RunTests.resultKeys)
    #expect(result["collective"] as? String == testCase.name)
    #expect(result["wrongElements"] as? Int == 0, "\(result)")
    #expect(result["transport"] as? String == transport)
    #expect(result["root"] as? Int == (testCase.hasRoot ? 3 : nil))
    #expect(result["op"] as? String == (testCase.combines ? "sum" : nil))
    #expect(result["dtype"] as? String == (testCase.name == "barrier" ? nil : "float32"))
    let bytes = try #require(result["bytes"] as? Int)
    #expect(result["count"] as? Int == bytes / 4 / (testCase.hasBlocks ? 5 : 1))
    let algorithm = try #require(result["algbwGBps"] as? Double)
    let bus = try #require(result["busbwGBps"] as? Double)
    #expect(abs(bus - algorithm * testCase.busFactor) <= 1e-9 * algorithm)
  }

  /// Runs in place, and with the first and the last rank as root.
  @Test(arguments: cases.filter { !["barrier", "send-receive"].contains($0.name) }) func inPlace(_ testCase: Case)
    async throws
  {
    for root in testCase.hasRoot ? ["--root 0", "--root 4"] : [""] {
      let outcome = try await Tool.run(
        """
        \(testCase.name) --ranks 5 --transport inprocess --algorithm all --in-place --sizes 8,300008 \(root) --iterations 2 \
        --dtype int64 --format json
        """)
      #expect(outcome.status == 0, "\(outcome.errors)")
      let results = try results(outcome.output)
      #expect(results.count == 2 * testCase.algorithms.count)
      for result in results {
        #expect(result["wrongElements"] as? Int == 0, "\(result)")
        #expect(result["inPlace"] as? Bool == true)
      }
    }
  }

  /// Runs in registered memory, with segments from too small to be read in place to several of the largest, in place and
  /// not.
  @Test(arguments: cases.filter { $0.name != "barrier" }) func registered(_ testCase: Case) async throws {
    for inPlace in testCase.name == "send-receive" ? [""] : ["", "--in-place"] {
      for ranks in [2, 3] {
        let outcome = try await Tool.run(
          """
          \(testCase.name) --ranks \(ranks) --transport shm --algorithm all --registered \(inPlace) --sizes 4K,300K,3000012 \
          --iterations 2 --format json
          """)
        #expect(outcome.status == 0, "\(outcome.errors)")
        for result in try results(outcome.output) { #expect(result["wrongElements"] as? Int == 0, "\(result)") }
      }
    }
  }

  /// One rank needs nobody; two and four have no remainder.
  @Test(arguments: [1, 2, 4]) func otherRankCounts(ranks: Int) async throws {
    for testCase in Self.cases {
      let sizes = testCase.name == "barrier" ? "" : "--sizes 4,12K"
      let outcome = try await Tool.run(
        "\(testCase.name) --ranks \(ranks) --transport inprocess --algorithm all \(sizes) --iterations 2 --format json")
      #expect(outcome.status == 0, "\(testCase.name): \(outcome.errors)")
      for result in try results(outcome.output) { #expect(result["wrongElements"] as? Int == 0, "\(result)") }
    }
  }

  /// All types with all operations defined for them; both ways come up for each collective.
  @Test(arguments: DataType.allCases) func everyTypeAndOperation(type: DataType) async throws {
    let operations = ReduceOp.allCases.filter { $0.isDefined(for: type) }.map(\.name)
    for (index, collective) in ["all-reduce", "reduce-scatter", "reduce"].enumerated() {
      let inPlace = (Int(type.rawValue) + index) % 2 == 0 ? "--in-place" : ""
      let outcome = try await Tool.run(
        """
        \(collective) --ranks 5 --transport inprocess --algorithm all --dtype \(type) --op all --sizes 8,24K \(inPlace) \
        --iterations 1 --warmup 0 --format json
        """)
      #expect(outcome.status == 0, "\(outcome.errors)")
      let results = try results(outcome.output)
      #expect(Set(results.compactMap { $0["op"] as? String }) == Set(operations))
      for result in results {
        #expect(result["dtype"] as? String == type.name)
        #expect(result["wrongElements"] as? Int == 0, "\(result)")
      }
    }
  }

  @Test(arguments: ["all-gather", "broadcast", "gather", "scatter", "all-to-all", "send-receive"])
  func everyTypeMoves(collective: String) async throws {
    let outcome = try await Tool.run(
      """
      \(collective) --ranks 3 --transport inprocess --algorithm all --dtype all --sizes 8,24K --iterations 1 --warmup 0 \
      --format json
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    #expect(Set(results.compactMap { $0["dtype"] as? String }) == Set(DataType.allCases.map(\.name)))
    for result in results {
      #expect(result["op"] is NSNull)
      #expect(result["wrongElements"] as? Int == 0, "\(result)")
    }
  }

  @Test func tableAndCSVHaveTheRoot() async throws {
    let table = try await Tool.run("reduce --ranks 2 --root 1 --op average --sizes 8 --iterations 2")
    #expect(table.status == 0, "\(table.errors)")
    let lines = table.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ") }
    #expect(lines[0].prefix(5) == ["bytes", "count", "type", "op", "root"])
    #expect(lines[1].prefix(5) == ["8", "2", "float32", "average", "1"])

    let csv = try await Tool.run("gather --ranks 2 --root 1 --sizes 8 --iterations 2 --format csv")
    let rows = csv.output.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    #expect(rows.map(\.count) == [19, 19])
    #expect(rows.last?.prefix(7) == ["gather", "8", "1", "float32", "", "1", "2"])

    let exchange = try await Tool.run("send-receive --ranks 2 --sizes 8 --iterations 2 --format json")
    #expect(try results(exchange.output).first?["algorithm"] is NSNull)
  }
}
