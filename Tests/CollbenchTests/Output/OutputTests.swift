import Foundation
import Testing

/// Where results go: they arrive, or the exit status and a message say that they have not.
@Suite(.serialized) struct OutputTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "collbench-output-\(UUID().uuidString)")
  private static let run = "all-reduce --ranks 2 --sizes 8 --iterations 2 --format json"

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  /// Runs a line of bash in which `collbench` is the tool.
  private func bash(_ line: String, limit: Double = 60) async throws -> Outcome {
    let script = "collbench() { '\(Tool.path)' \"$@\"; }; set -o pipefail; \(line)"
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await Running("/bin/bash", ["-c", script]).outcome(limit: limit)
  }

  @Test("a reader that leaves ends all ranks, quietly and early, as of other tools", arguments: ["shm", "tcp", "inprocess"])
  func readerThatLeaves(transport: String) async throws {
    let outcome = try await bash(
      "collbench all-reduce --ranks 2 --transport \(transport) --min-bytes 8 --max-bytes 64M --iterations 20 | head -n 3")
    #expect(outcome.status == 141 && outcome.errors == "", "\(outcome.status): \(outcome.errors)")
    #expect(outcome.output.split(separator: "\n", omittingEmptySubsequences: false).count == 4, "\(outcome.output)")
  }

  @Test("nobody reads from the start", arguments: ["table", "json"]) func noReader(format: String) async throws {
    let outcome = try await bash(
      "collbench all-reduce --ranks 2 --sizes 8,16,32 --iterations 2 --format \(format) | true; exit ${PIPESTATUS[0]}")
    #expect(outcome.status == 141 && outcome.errors == "", "\(outcome.status): \(outcome.errors)")
  }

  @Test(arguments: [
    run, "all-reduce --ranks 2 --sizes 8,16 --iterations 2",
    "all-reduce --ranks 2 --transport inprocess --sizes 8 --format csv",
    "list", "plan all-reduce --algorithm ring --ranks 4", "verify --max-ranks 2",
  ])
  func aFullDeviceIsAFailure(arguments: String) async throws {
    let outcome = try await bash("collbench \(arguments) > /dev/full")
    #expect(outcome.status == 1, "\(outcome.status): \(outcome.errors)")
    #expect(outcome.errors.contains("standard output: No space left on device"), "\(outcome.errors)")
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
  }

  @Test func aFIFOIsWrittenTo() async throws {
    let fifo = folder.appending(path: "fifo").path
    let outcome = try await bash(
      "mkfifo \(fifo) && { cat \(fifo) & } && collbench \(Self.run) --output \(fifo) && wait && [ -p \(fifo) ]")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try results(outcome.output).count == 1)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root, to make a device")) func aDeviceStaysOne() async throws {
    let device = folder.appending(path: "null").path
    let outcome = try await bash("mknod \(device) c 1 3 && collbench \(Self.run) --output \(device) && [ -c \(device) ]")
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test("links are followed, also one that leads to nothing yet; permissions stay") func links() async throws {
    let outcome = try await bash(
      """
      cd \(folder.path) && mkdir there && echo old > there/file && chmod 640 there/file && ln -s there/file link \
      && ln -s there/new dangling && collbench \(Self.run) --output link && collbench \(Self.run) --output dangling \
      && [ -L link ] && [ -L dangling ] && stat -c %a there/file && ls there && cat there/file
      """)
    #expect(outcome.status == 0 && outcome.output.hasPrefix("640\nfile\nnew\n{"), "\(outcome.output) \(outcome.errors)")
    #expect(try results(String(outcome.output.dropFirst("640\nfile\nnew\n".count))).count == 1)
  }

  @Test func standardOutputByName() async throws {
    let outcome = try await bash("collbench \(Self.run) --output /dev/stdout | cat")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try results(outcome.output).count == 1)
    let full = try await bash("collbench \(Self.run) --output /dev/full")
    #expect(full.status == 1 && full.errors.contains("--output /dev/full: No space left on device"), "\(full.errors)")
  }
}
