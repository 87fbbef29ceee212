import Foundation
import Testing

/// `faultrank` processes, one a rank, alone or inside something that takes a right away from them.
enum FaultRanks {
  private static let folder = URL(filePath: Tool.path).deletingLastPathComponent()
  static let program = folder.appending(path: "faultrank").path

  /// The words before a program that make some of its system calls fail: `memfd_create=1`.
  static func sandbox(_ rules: String...) -> [String] { [folder.appending(path: "faultsandbox").path] + rules + ["--"] }

  /// The words before a program that run a shell command first, such as `ulimit -n 16`.
  static func after(_ command: String) -> [String] { ["/bin/sh", "-c", command + " && exec \"$@\"", "sh"] }

  /// Starts the ranks of a job.
  ///
  /// - Parameter inside: What comes before the program, by rank.
  static func start(_ rankCount: Int, _ arguments: [String], inside: [Int: [String]] = [:]) throws -> [Running] {
    let name = UUID().uuidString.prefix(12)
    return try (0..<rankCount).map { rank in
      let words = inside[rank, default: []] + [program] + arguments
      return try Running(
        words[0], Array(words.dropFirst()),
        environment: [
          "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "\(rankCount)", "TUTTI_RENDEZVOUS": "unix:@tutti-fault-\(name)",
          "TUTTI_SECRET": "0123456789abcdef0123456789abcdef",
        ])
    }
  }

  /// Runs a job to its end.
  static func run(
    _ rankCount: Int, _ arguments: String, inside: [Int: [String]] = [:], sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> [Outcome] {
    let ranks = try start(rankCount, arguments.split(separator: " ").map(String.init), inside: inside)
    var outcomes: [Outcome] = []
    for rank in ranks { outcomes.append(try await rank.outcome(limit: 30, sourceLocation: sourceLocation)) }
    return outcomes
  }

  /// Returns when every rank is in its loop of operations.
  static func awaitInside(_ ranks: [Running]) async throws {
    let areInside = try await becomesTrue(within: 30) { ranks.allSatisfy { $0.output.contains("inside") } }
    try #require(areInside, "\(ranks.map(\.errors))")
  }
}

extension Outcome {
  /// When the rank got its error, in nanoseconds of CLOCK_MONOTONIC; nil without one.
  var failedAt: UInt64? {
    output.split(separator: "\n").first { $0.hasPrefix("failed ") }.flatMap { UInt64($0.dropFirst("failed ".count)) }
  }

  /// Lines of the log that warn.
  var warnings: [String] { errors.split(separator: "\n").filter { $0.contains(" warning ") }.map(String.init) }
}
