import Foundation
import Testing

/// The built `DataParallelTrainer`, run as a user runs it.
enum Tool {
  /// Beside the test program, so that it was built with the same settings.
  static let path = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "DataParallelTrainer").path

  /// What limits of time are multiplied by where something else is busy on the machine: Scripts/test measures it.
  static let patience = ProcessInfo.processInfo.environment["TUTTI_TEST_PATIENCE"].flatMap(Double.init) ?? 1

  /// Runs it to its end.
  ///
  /// - Parameter limit: Seconds, before patience; a run that takes longer is killed and fails the test.
  static func run(
    _ arguments: String, environment: [String: String] = [:], limit: Double = 40,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> Outcome {
    try await Running(arguments, environment: environment).outcome(limit: limit, sourceLocation: sourceLocation)
  }

  /// Runs ranks that nobody but the test launches, each with arguments of its own.
  ///
  /// - Parameter launcher: The variables that tell a rank of a number of ranks who it is.
  static func runRanks(
    _ arguments: [String], limit: Double = 40,
    launcher: (_ rank: Int, _ count: Int) -> [String: String] = { ["TUTTI_RANK": "\($0)", "TUTTI_SIZE": "\($1)"] }
  ) async throws -> [Outcome] {
    let (name, count) = (UUID().uuidString, arguments.count)
    let ranks = try arguments.enumerated().map { rank, arguments in
      let meeting = ["TUTTI_RENDEZVOUS": "unix:@tutti-\(name)", "TUTTI_SECRET": name]
      return try Running(arguments, environment: launcher(rank, count).merging(meeting) { $1 })
    }
    var outcomes: [Outcome] = []
    for rank in ranks { outcomes.append(try await rank.outcome(limit: limit)) }
    return outcomes
  }
}

/// What a program did.
struct Outcome: Sendable {
  /// The exit status; negative: minus the signal that ended it.
  var status: Int32
  var output: String
  var errors: String
}

/// A program that runs, with its output in files, so that nothing waits for a reader.
final class Running {
  private let process = Process()
  private let arguments: String
  private let folder: TemporaryFolder

  init(_ arguments: String, environment: [String: String] = [:]) throws {
    self.arguments = arguments
    folder = try TemporaryFolder()
    // The ranks' identity must come from the test alone.
    let own = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET", "RANK", "WORLD_SIZE"]
    process.environment = ProcessInfo.processInfo.environment.filter { !own.contains($0.key) }.merging(environment) { $1 }
    process.executableURL = URL(filePath: Tool.path)
    process.arguments = arguments.split(separator: " ").map(String.init)
    process.standardInput = FileHandle.nullDevice
    func file(_ name: String) throws -> FileHandle {
      let path = "\(folder.path)/\(name)"
      try Data().write(to: URL(filePath: path))
      return try FileHandle(forWritingTo: URL(filePath: path))
    }
    process.standardOutput = try file("output")
    process.standardError = try file("errors")
    try process.run()
  }

  var pid: pid_t { process.processIdentifier }
  var isRunning: Bool { process.isRunning }

  /// Waits until it ends by itself.
  func outcome(limit: Double, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Outcome {
    let limit = limit * Tool.patience
    let end = ContinuousClock.now + .seconds(limit)
    while process.isRunning {
      if ContinuousClock.now >= end {
        kill(pid, SIGKILL)
        process.waitUntilExit()
        Issue.record("still running after \(limit) s: \(arguments)\n\(text("errors"))", sourceLocation: sourceLocation)
        break
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    let status = process.terminationStatus
    return Outcome(
      status: process.terminationReason == .exit ? status : -status, output: text("output"), errors: text("errors"))
  }

  private func text(_ name: String) -> String {
    (try? String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8)) ?? ""
  }
}

/// A folder that is gone at the end of the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "trainer-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A line of `losses.jsonl`.
struct LossLine: Decodable, Equatable {
  var step: Int
  var loss: Double
}

func losses(_ folder: TemporaryFolder) throws -> [LossLine] {
  let text = try String(contentsOfFile: "\(folder.path)/losses.jsonl", encoding: .utf8)
  return try text.split(separator: "\n").map { try JSONDecoder().decode(LossLine.self, from: Data($0.utf8)) }
}

/// A text file that is quickly learnt from and evaluated, gone at the end of the test.
final class TinyText {
  private let folder: TemporaryFolder
  var path: String { "\(folder.path)/text.txt" }

  init(word: String = "dual") throws {
    folder = try TemporaryFolder()
    let text = (1...60).map { "The square of \($0) is \($0 * $0), and fold and half and dual and \(word) are words. " }
      .joined()
    try text.write(toFile: "\(folder.path)/text.txt", atomically: true, encoding: .utf8)
  }
}
