import Foundation
import Testing

/// `collbench run`, when everything is right.
@Suite(.serialized) struct RunTests {
  static let resultKeys: Set = [
    "collective", "bytes", "count", "dtype", "op", "root", "ranks", "algorithm", "foldClass", "transport", "dataPath",
    "inPlace", "iterations", "timeMicroseconds", "algbwGBps", "busbwGBps", "wrongElements",
  ]
  static let allReduceAlgorithms = [
    "ring", "ring-2", "swing", "bine", "recursive-doubling", "double-binary-tree", "halving-doubling", "circulant",
    "binomial", "k-ary", "reduce-broadcast", "linear", "one-shot", "two-shot",
  ]

  @Test func jsonIsTheContract() async throws {
    let outcome = try await Tool.run("all-reduce --ranks 2 --sizes 8,4K --iterations 20 --format json")
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    let object = try parse(outcome.output)
    #expect(Set(object.keys) == ["version", "tutti", "system", "configuration", "results"])
    let results = try results(outcome.output)
    #expect(results.count == 2)
    for (result, bytes) in zip(results, [8, 4096]) {
      #expect(Set(result.keys) == Self.resultKeys)
      #expect(result["collective"] as? String == "all-reduce")
      #expect(result["bytes"] as? Int == bytes)
      #expect(result["count"] as? Int == bytes / 4)
      #expect(result["dtype"] as? String == "float32")
      #expect(result["op"] as? String == "sum")
      #expect(result["foldClass"] as? String == "canonical", "of two ranks there is one tree")
      #expect(result["ranks"] as? Int == 2)
      #expect(result["inPlace"] as? Bool == false)
      #expect(result["iterations"] as? Int == 20)
      #expect(result["wrongElements"] as? Int == 0)
      #expect(Self.allReduceAlgorithms.contains(result["algorithm"] as? String ?? ""))
      #expect(result["transport"] as? String == "shm")
      let times = try #require(result["timeMicroseconds"] as? [String: Double])
      #expect(Set(times.keys) == ["min", "median", "p99", "mean", "max"])
      let (least, median, most) = (try #require(times["min"]), try #require(times["median"]), try #require(times["max"]))
      #expect(0 < least && least <= median && median <= times["p99"]! && times["p99"]! <= most)
      // GB are 10^9 bytes; the bus carries 2(n-1)/n of the buffer, which is all of it with two ranks.
      let bandwidth = try #require(result["algbwGBps"] as? Double)
      #expect(abs(bandwidth - Double(bytes) / (median * 1000)) <= bandwidth * 0.01)
      #expect(result["busbwGBps"] as? Double == bandwidth)
    }
    // The environment holds secrets.
    #expect(!outcome.output.contains("SECRET"))
  }

  @Test func manyRanksOnFewCores() async throws {
    let outcome = try await Tool.run("all-reduce --ranks 8 --sizes 8,64K,1M --iterations 5 --format json", limit: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try results(outcome.output).allSatisfy { $0["wrongElements"] as? Int == 0 })
  }

  @Test func oneRank() async throws {
    let outcome = try await Tool.run("all-reduce --ranks 1 --sizes 8,4K --iterations 2 --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try results(outcome.output).allSatisfy { $0["wrongElements"] as? Int == 0 })
  }

  @Test func barrierCarriesNothing() async throws {
    let outcome = try await Tool.run("run barrier --ranks 3 --iterations 10 --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    #expect(results.count == 1)
    #expect(results.first?["bytes"] as? Int == 0)
    #expect(["direct", "dissemination", "binomial"].contains(results.first?["algorithm"] as? String))
    #expect(results.first?["dtype"] is NSNull)
  }

  @Test func sweepMultiplies() async throws {
    let outcome = try await Tool.run(
      "all-reduce --ranks 2 --min-bytes 16 --max-bytes 2K --factor 3 --iterations 1 --no-check --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    #expect(results.map { $0["bytes"] as? Int } == [16, 48, 144, 432, 1296])
    #expect(results.allSatisfy { $0["wrongElements"] is NSNull })
  }

  @Test func tableAndCSV() async throws {
    let table = try await Tool.run("all-reduce --ranks 2 --sizes 8,4K --iterations 2")
    #expect(table.status == 0, "\(table.errors)")
    let lines = table.output.split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(lines.count == 3)
    #expect(lines.first?.contains("algbw GB/s") == true)

    let csv = try await Tool.run("all-reduce --ranks 2 --sizes 8,4K --iterations 2 --format csv")
    let rows = csv.output.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false).count }
    #expect(rows == [19, 19, 19])
  }

  @Test func outputFileAppearsWhole() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "collbench-output-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "result.json")
    let outcome = try await Tool.run(
      "all-reduce --ranks 2 --sizes 8 --iterations 2 --format json --output \(file.path)")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output == "")
    #expect(try results(String(contentsOf: file, encoding: .utf8)).count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["result.json"])
  }

  /// Three ranks, started as another launcher does.
  private func launched(_ arguments: String) throws -> [Running] {
    let name = UUID().uuidString
    return try (0..<3).map { rank in
      try Running(
        Tool.path, arguments.split(separator: " ").map(String.init),
        environment: [
          "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "3", "TUTTI_RENDEZVOUS": "unix:@tutti-\(name)", "TUTTI_SECRET": name,
        ])
    }
  }

  /// A mistake that only a rank that has joined can see ends all ranks, before they take memory.
  @Test(arguments: [("gather --root 3 --sizes 8", "0 to 2"), ("all-gather --sizes 4000000G", "do not fit")])
  func joinedRanksRefuse(arguments: String, says: String) async throws {
    for (rank, running) in try launched(arguments).enumerated() {
      let outcome = try await running.outcome(limit: 20)
      #expect(outcome.status == 1)
      #expect(outcome.errors.contains("collbench: rank \(rank): "))
      #expect(outcome.errors.contains(says), "\(outcome.errors)")
      #expect(outcome.output == "")
    }
  }

  @Test func ranksOfAnotherLauncher() async throws {
    for (rank, running) in try launched("all-reduce --sizes 8,4K --iterations 3 --format json").enumerated() {
      let outcome = try await running.outcome(limit: 60)
      #expect(outcome.status == 0, "\(outcome.errors)")
      if rank == 0 {
        #expect(try results(outcome.output).allSatisfy { $0["wrongElements"] as? Int == 0 })
      } else {
        #expect(outcome.output == "")
      }
    }
  }
}

/// `collbench list` and `collbench verify`.
@Suite struct OtherCommandTests {
  @Test func listNamesEverything() async throws {
    let outcome = try await Tool.run("list --format json")
    #expect(outcome.status == 0)
    let object = try parse(outcome.output)
    let collectives = try #require(object["collectives"] as? [Object])
    #expect(collectives.map { $0["name"] as? String } == CollectiveTests.cases.map(\.name))
    for (collective, expected) in zip(collectives, CollectiveTests.cases) {
      let listed = try #require(collective["algorithms"] as? [String])
      #expect(listed.starts(with: expected.algorithms), "\(expected.name)")
      // Then those over groups.
      #expect(
        listed.dropFirst(expected.algorithms.count).allSatisfy { name in
          ["hierarchical", "leader", "torus"].contains { name.hasPrefix($0) }
        })
      #expect(collective["hasRoot"] as? Bool == expected.hasRoot)
      #expect(collective["combines"] as? Bool == expected.combines)
      #expect(collective["hasBlocks"] as? Bool == expected.hasBlocks)
    }
    let types = try #require(object["types"] as? [Object])
    #expect(types.count == 13)
    for type in types {
      let operations = try #require(type["operations"] as? [String])
      let isFloat = (type["name"] as? String)?.contains("float") == true
      #expect(operations.contains("average") == isFloat)
      #expect(operations.contains("bitwise-xor") == !isFloat)
    }
    let transports = try #require(object["transports"] as? [Object])
    #expect(transports.map { $0["name"] as? String } == ["shm", "rdma", "tcp", "inprocess"])
    let table = try await Tool.run("list")
    for word in [
      "all-reduce", "dissemination", "send-receive: no algorithms", "inprocess", "float64 (8 bytes)",
      "sum, product, min, max: all types", "average: float16, bfloat16, float32, float64",
    ] {
      #expect(table.output.contains(word))
    }
  }

  @Test func verifyProves() async throws {
    let all = try await Tool.run("verify --max-ranks 5")
    #expect(all.status == 0, "\(all.errors)")
    for collective in CollectiveTests.cases {
      for algorithm in collective.algorithms {
        // At 1 to 5 ranks there are 1, 2, 3, 3, 3 different roots of 0, 1 and the last.
        let schedules = collective.hasRoot ? 1 + 2 * 2 + (3 + 4 + 5) * 3 : 15
        #expect(
          all.output.contains("\(collective.name) \(algorithm): proven for 5 rank counts, \(schedules) schedules,"),
          "\(all.output)")
      }
    }
    let one = try await Tool.run("verify --collective all-reduce --algorithm ring --min-ranks 4 --max-ranks 4")
    #expect(one.status == 0, "\(one.errors)")
    #expect(one.output.contains("1 algorithm, 4 to 4 ranks: 4 schedules"))
  }
}
