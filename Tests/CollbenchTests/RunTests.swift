import Foundation
import Testing

/// `collbench run`, when everything is right.
@Suite(.serialized) struct RunTests {
  static let resultKeys: Set = [
    "collective", "bytes", "count", "dtype", "op", "root", "ranks", "algorithm", "transport", "inPlace", "iterations",
    "timeMicroseconds", "algbwGBps", "busbwGBps", "wrongElements",
  ]
  static let allReduceAlgorithms = ["ring", "ring-2", "recursive-doubling", "double-binary-tree", "one-shot", "two-shot"]

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

  @Test(arguments: ["shm", "tcp", "inprocess"]) func everyAlgorithmIsRight(transport: String) async throws {
    let outcome = try await Tool.run(
      "all-reduce --ranks 3 --transport \(transport) --algorithm all --sizes 0,4,1000,64K --iterations 3 --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    for bytes in [0, 4, 1000, 65536] {
      let names = results.filter { $0["bytes"] as? Int == bytes }.map { $0["algorithm"] as? String }
      #expect(names == Self.allReduceAlgorithms)
    }
    for result in results {
      #expect(result["wrongElements"] as? Int == 0)
      #expect(result["transport"] as? String == transport)
    }
  }

  @Test(arguments: ["int32", "int64", "float32", "float64"], ["sum", "min", "max"])
  func everyTypeAndOperation(type: String, operation: String) async throws {
    let outcome = try await Tool.run(
      "all-reduce --ranks 3 --dtype \(type) --op \(operation) --sizes 8,24K --iterations 2 --in-place --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    for result in try results(outcome.output) {
      #expect(result["dtype"] as? String == type)
      #expect(result["op"] as? String == operation)
      #expect(result["inPlace"] as? Bool == true)
      #expect(result["wrongElements"] as? Int == 0)
    }
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
    #expect(results.first?["algorithm"] as? String == "dissemination")
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

  @Test func ranksOfAnotherLauncher() async throws {
    let name = UUID().uuidString
    let ranks = try (0..<3).map { rank in
      try Running(
        Tool.path, ["all-reduce", "--sizes", "8,4K", "--iterations", "3", "--format", "json"],
        environment: [
          "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "3", "TUTTI_RENDEZVOUS": "unix:@tutti-\(name)", "TUTTI_SECRET": name,
        ])
    }
    for (rank, running) in ranks.enumerated() {
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
    #expect(collectives.map { $0["name"] as? String } == ["all-reduce", "barrier"])
    #expect(collectives.first?["algorithms"] as? [String] == RunTests.allReduceAlgorithms)
    let transports = try #require(object["transports"] as? [Object])
    #expect(transports.map { $0["name"] as? String } == ["shm", "tcp", "inprocess"])
    let table = try await Tool.run("list")
    for word in ["all-reduce", "dissemination", "inprocess", "float64 (8 bytes)", "sum, min, max"] {
      #expect(table.output.contains(word))
    }
  }

  @Test func verifyProves() async throws {
    let all = try await Tool.run("verify --max-ranks 5")
    #expect(all.status == 0, "\(all.errors)")
    for name in RunTests.allReduceAlgorithms + ["dissemination"] { #expect(all.output.contains("\(name): proven")) }
    let one = try await Tool.run("verify --collective all-reduce --algorithm ring --min-ranks 4 --max-ranks 4")
    #expect(one.status == 0, "\(one.errors)")
    #expect(one.output.contains("1 algorithm, 4 to 4 ranks: 4 schedules"))
  }
}
