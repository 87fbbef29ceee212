import Foundation
import Testing

/// `collbench tune`, and what other commands do with what it wrote, as a user runs them.
@Suite(.serialized) struct TuneTests {
  /// A folder of the test's own, which stands for the user's configuration.
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appending(path: "collbench-tune-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var variables: [String: String] { ["XDG_CONFIG_HOME": path, "TUTTI_TUNING": ""] }
    var profile: String { "\(path)/tutti/tuning.yaml" }
    func read(_ file: String) throws -> String { try String(contentsOfFile: file, encoding: .utf8) }
  }

  @Test("what was measured goes where jobs find it, and decides") func tunes() async throws {
    let folder = try Folder()
    let tuned = try await Tool.run(
      "tune all-reduce barrier --ranks 2 --sizes 8,64K --rounds 2", environment: folder.variables, limit: 120)
    #expect(tuned.status == 0, "\(tuned.errors)")
    #expect(tuned.errors.contains("of 2 collectives with 2 ranks at 2 sizes in 2 rounds: about "))
    #expect(tuned.errors.contains("collbench: wrote \(folder.profile)\n"))
    #expect(tuned.output.hasPrefix("# auto chooses "))
    let text = try folder.read(folder.profile)
    #expect(
      text.contains("- {bytes: 8, microseconds: {\"") && text.contains("- {bytes: 65536, ") && text.contains("\"ring\": "))
    #expect(text.contains("      barrier:\n        - {bytes: 0, ") && text.contains("measured: \"collbench tune "))

    // Another collective is added to what is there.
    let more = try await Tool.run(
      "tune broadcast --ranks 2 --sizes 8 --rounds 1", environment: folder.variables, limit: 120)
    #expect(more.status == 0, "\(more.errors)")
    let both = try folder.read(folder.profile)
    #expect(
      both.contains("      broadcast:\n") && both.contains("- {bytes: 65536, ")
        && both.components(separatedBy: "medium:").count == 2)

    let list = try await Tool.run("list", environment: folder.variables)
    #expect(list.output.contains("), \(folder.profile)\n  measured: 2 ranks over shared memory"))

    let run = try await Tool.run(
      "all-reduce --ranks 2 --sizes 8 --iterations 3 --format json", environment: folder.variables)
    #expect(run.status == 0 && run.errors == "", "\(run.errors)")
    let configuration = try #require(try parse(run.output)["configuration"] as? Object)
    let tuning = try #require(configuration["tuning"] as? Object)
    #expect(tuning["source"] as? String == folder.profile && (tuning["hash"] as? String)?.count == 32)

    // With another number of ranks, nothing of it is used, and it is said why.
    let three = try await Tool.run(
      "all-reduce --ranks 3 --sizes 8 --iterations 3 --format json", environment: folder.variables)
    #expect(three.status == 0 && three.errors.contains("and these are 3 ranks over shared memory"))
    let other = (try parse(three.output)["configuration"] as? Object)?["tuning"] as? Object
    #expect(other?["source"] as? String == "built in")
  }

  @Test("explain marks what was measured") func explains() async throws {
    let folder = try Folder()
    let file = "\(folder.path)/mine.yaml"
    let times = "{one-shot: 5, two-shot: 2, recursive-doubling: 1, ring: 0.5}"
    let text = """
      version: 1
      name: mine
      measured: by hand
      shapes:
        - {medium: shared-memory, ranks: 4, processors: 2, collectives: {all-reduce: [{bytes: 8, microseconds: \(times)}]}}
      """
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    let command = "explain all-reduce --bytes 8 --ranks 4 --processors 2 --tuning \(file)"
    let table = try await Tool.run(command)
    #expect(table.status == 0 && table.errors == "")
    #expect(
      table.output.contains(
        "# tuning profile: mine (measured: by hand)\n# auto: recursive-doubling: the least measured time\n"))
    let any = try parse(try await Tool.run(command + " --bits any --format json").output)
    #expect(any["chosen"] as? String == "ring")
    #expect((any["tuning"] as? Object)?["source"] as? String == file)
    let candidates = try #require(any["candidates"] as? [Object])
    let measured = candidates.filter { $0["measured"] as? Bool == true }.compactMap { $0["name"] as? String }
    #expect(Set(measured) == ["one-shot", "two-shot", "recursive-doubling", "ring"])

    let strange = try await Tool.run("explain all-reduce --bytes 8 --ranks 4 --tuning \(file)")
    #expect(strange.status == 0 && strange.errors.contains("was measured on 4 ranks over shared memory, 2 at a time"))
    #expect(!strange.output.contains("mine"))
    let missing = try await Tool.run("explain all-reduce --bytes 8 --ranks 4 --tuning \(folder.path)/none.yaml")
    #expect(missing.status == 1 && missing.errors == "collbench: \(folder.path)/none.yaml: No such file or directory\n")
  }

  @Test(
    "what cannot be is refused before anything is measured",
    arguments: [
      ("tune --ranks 1", 64, "--ranks 1: a rank alone has nothing to choose"),
      ("tune all-reduced --ranks 2", 64, "Did you mean 'all-reduce'?"),
      ("tune --ranks 2 --sizes 6", 64, "--sizes: 6 is not a number of float32 elements"),
      ("tune --ranks 2 --rounds 0", 64, "--rounds 0: must be from 1 to 1000"),
      ("tune --ranks 2 --output /nonexistent/x.yaml", 1, "the folder '/nonexistent' does not exist"),
      ("tune", 1, "no ranks to run on"),
      ("explain barrier --ranks 4 --processors 5", 64, "--processors 5: must be 1 to 4"),
    ] as [(String, Int32, String)])
  func refusals(_ command: String, _ status: Int32, _ says: String) async throws {
    let outcome = try await Tool.run(command)
    #expect(outcome.status == status && outcome.errors.contains(says), "\(outcome)")
    #expect(outcome.output == "")
  }

  @Test("a file for other processors is refused before anything is measured", arguments: [true, false])
  func refusesOtherProcessors(startsRanks: Bool) async throws {
    let folder = try Folder()
    let file = "\(folder.path)/x.yaml"
    let list = try parse(try await Tool.run("list --format json", environment: ["TUTTI_TUNING": "none"]).output)
    let own = try #require((list["processors"] as? Object)?["family"] as? String)
    let (other, title) = own == "amd-zen3" ? ("arm-neoverse-v1", "Arm Neoverse V1") : ("amd-zen3", "AMD Zen 3")
    for (line, says) in [
      ("processor: \(other)\n", "x.yaml is for \(title), and the ranks run on "),
      ("", "x.yaml does not say which processors it is for, and the ranks run on "),
    ] {
      let text = "version: 1\nname: theirs\n\(line)"
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      let command = "tune barrier --output \(file)"
      let outcome =
        startsRanks
        ? try await Tool.run(command + " --ranks 2", environment: ["TUTTI_TUNING": "none"])
        : try await Self.runAsRanks(command)
      #expect(outcome.status == 1 && outcome.errors.contains(says), "\(outcome.errors)")
      #expect(!outcome.errors.contains("measuring"), "\(outcome.errors)")
      #expect(try folder.read(file) == text)
    }
  }

  /// Runs a command as each of two ranks that another program has started. Returns how rank 0 ended.
  private static func runAsRanks(_ command: String) async throws -> Outcome {
    let name = UUID().uuidString
    @Sendable func run(_ rank: Int) async throws -> Outcome {
      try await Tool.run(
        command,
        environment: [
          "TUTTI_TUNING": "none", "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "2", "TUTTI_RENDEZVOUS": "unix:@tutti-\(name)",
          "TUTTI_SECRET": name,
        ])
    }
    async let first = run(0)
    async let second = run(1)
    let (outcome, other) = (try await first, try await second)
    #expect(other.status == 1, "\(other.errors)")
    return outcome
  }

  @Test("a file with something else in it stays") func keepsFiles() async throws {
    let folder = try Folder()
    let file = "\(folder.path)/x.yaml"
    for (text, says) in [
      ("hosts: {count: 4}\n", "x.yaml:1:1: hosts: unknown key of a tuning profile"),
      ("version: 9\n", "x.yaml is a tuning profile of another version of the format: move it away"),
    ] {
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      let outcome = try await Tool.run("tune barrier --ranks 2 --output \(file)", environment: ["TUTTI_TUNING": "none"])
      #expect(outcome.status == 1 && outcome.errors.contains(says), "\(outcome.errors)")
      #expect(try folder.read(file) == text)
    }
    // Jobs do not go on with a file that nobody understands.
    let run = try await Tool.run("barrier --ranks 2", environment: ["TUTTI_TUNING": file])
    #expect(run.status == 0 && run.errors.contains("is of another version of the format than 1: not used"))
    try "version: 1\nname: x\nmeasurd: y\n".write(toFile: file, atomically: true, encoding: .utf8)
    let bad = try await Tool.run("barrier --ranks 2 --timeout 20", environment: ["TUTTI_TUNING": file])
    #expect(
      bad.status == 1
        && bad.errors.contains("x.yaml:3:1: measurd: unknown key of a tuning profile; did you mean 'measured'?"))
  }
}
