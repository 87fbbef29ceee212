import Foundation
import Patience
import Testing
import TuttiLaunch

/// The built `collbench`, run as a user runs it.
enum Tool {
  /// Beside the test program, so that it was built with the same settings and sanitizer.
  static let path = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "collbench").path

  static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The factor that deadlines are multiplied by.
  static var slowness: Double { Double(Patience.factor) }

  /// Runs collbench to its end.
  ///
  /// - Parameter limit: Seconds, before slowness; a run that takes longer is killed and fails the test.
  static func run(
    _ arguments: String, environment: [String: String] = [:], limit: Double = 60,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> Outcome {
    let running = try Running(path, arguments.split(separator: " ").map(String.init), environment: environment)
    return try await running.outcome(limit: limit, sourceLocation: sourceLocation)
  }
}

/// What a program printed, and how it ended.
struct Outcome: Sendable {
  /// The exit status; negative: minus the signal that ended it.
  var status: Int32
  var output: String
  var errors: String

  /// The error lines of a rank: what follows `collbench: rank N: `.
  func errors(ofRank rank: Int) -> [String] {
    errors.split(separator: "\n").filter { $0.contains("collbench: rank \(rank): ") }.map(String.init)
  }
}

/// A program that runs, with its output in files, so that nothing waits for a reader.
///
/// It is killed and reaped when this object goes away, and killed when the test runner does, however that ends.
final class Running {
  private let child: ChildProcess
  private let arguments: [String]
  private let folder: URL

  var pid: pid_t { child.pid }
  var isRunning: Bool { child.end() == nil }
  var output: String { text("output") }
  var errors: String { text("errors") }

  init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    self.arguments = arguments
    folder = FileManager.default.temporaryDirectory.appending(path: "collbench-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // The ranks' identity must come from the test alone.
    let own = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET", "RANK", "WORLD_SIZE"]
    let variables = ProcessInfo.processInfo.environment.filter { !own.contains($0.key) }.merging(environment) { $1 }
    var description = ChildProgram(program, arguments, environment: variables)
    defer { for descriptor in description.descriptors.values { close(descriptor) } }
    for (descriptor, name) in [(1, "output"), (2, "errors")] as [(Int32, String)] {
      let file = open(folder.appending(path: name).path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      try #require(file >= 0)
      description.descriptors[descriptor] = file
    }
    child = try ChildProcess(description)
  }

  deinit {
    child.stop()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Waits until it ends by itself.
  func outcome(limit: Double, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Outcome {
    if try await !becomesTrue(within: limit, { !self.isRunning }) {
      // First so that it can clean up.
      kill(pid, SIGTERM)
      if try await !becomesTrue(within: 5, { !self.isRunning }) { child.stop() }
      Issue.record(
        "still running after \(limit * Tool.slowness) s: \(arguments)\n\(errors)", sourceLocation: sourceLocation)
    }
    let status: Int32
    switch child.end() {
    case .exited(let code): status = code
    case .signalled(let signal): status = -signal
    case let end: throw TestFailure("\(arguments) has ended in an unknown way: \(String(describing: end))")
    }
    return Outcome(status: status, output: output, errors: errors)
  }

  private func text(_ name: String) -> String {
    (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
  }
}

/// Looks until the condition holds. Returns false after `seconds`, times slowness.
func becomesTrue(within seconds: Double, _ condition: () -> Bool) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(seconds * Tool.slowness)
  while !condition() {
    if ContinuousClock.now >= end { return false }
    try await Task.sleep(for: .milliseconds(5))
  }
  return true
}

/// Processes, as the kernel tells about them.
enum Processes {
  /// The processes whose parent is `parent`, without zombies.
  static func children(of parent: pid_t) -> [pid_t] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { pid_t($0) }.filter { pid in
      guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
      // The name, in parentheses, may hold anything; state and parent follow it.
      let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
      return fields.count > 2 && fields[1] != "Z" && pid_t(fields[2]) == parent
    }
  }

  static func isRunning(_ pid: pid_t) -> Bool { kill(pid, 0) == 0 }

  /// The value of a variable in the process's environment.
  static func variable(_ name: String, of pid: pid_t) -> String? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return nil }
    let entries = data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    return entries.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
  }
}

/// A JSON object.
typealias Object = [String: Any]

/// Parses what must be exactly one JSON object.
func parse(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Object {
  let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
  return try #require(value as? Object, sourceLocation: sourceLocation)
}

func results(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> [Object] {
  try #require(try parse(text)["results"] as? [Object], sourceLocation: sourceLocation)
}

/// An error that a helper of the tests found.
struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
