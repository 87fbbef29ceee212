import CTuttiLinux
import Foundation
import Patience
import Testing
import TuttiLaunch

/// Jobs of shells for ranks: what ranks get from their launcher, and how the job ends.
///
/// Serialized, because dispositions of signals belong to the whole process.
@Suite(.serialized) final class JobTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "launch-\(UUID().uuidString)").path

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Ranks that run a line of shell each, with their output in files.
  private func job(_ scripts: [String]) throws -> JobDescription {
    let identity = try JobIdentity(rankCount: scripts.count)
    let ranks = scripts.enumerated().map { rank, script in
      RankDescription(
        rank: rank, program: "/bin/sh", arguments: ["-c", script], output: .file("\(folder)/\(rank)"), errors: .discarded)
    }
    return JobDescription(identity: identity, ranks: ranks)
  }

  private func output(_ rank: Int = 0) throws -> String {
    try String(contentsOfFile: "\(folder)/\(rank)", encoding: .utf8).trimmingCharacters(in: .newlines)
  }

  private func run(_ scripts: [String]) async throws -> JobOutcome { try await job(scripts).start().outcome() }

  @Test func ranksKnowTheirJob() async throws {
    setenv("MASTER_ADDR", "elsewhere", 1)
    defer { unsetenv("MASTER_ADDR") }
    let words = "echo $TUTTI_RANK $TUTTI_SIZE $TUTTI_RENDEZVOUS $TUTTI_SECRET $MASTER_ADDR"
    let outcome = try await run([words, words])
    #expect(outcome.status == 0 && outcome.ends == [0: .exited(0), 1: .exited(0)])
    let ranks = try (0..<2).map { try output($0).split(separator: " ") }
    for (rank, found) in ranks.enumerated() { #expect(found.count == 4 && found[0] == "\(rank)" && found[1] == "2") }
    #expect(ranks[0][2].hasPrefix("unix:@tutti-") && ranks[0][2...] == ranks[1][2...])
    #expect(ranks[0][3].count == 64)
    _ = try await run([words])
    #expect(try output().split(separator: " ")[3] != ranks[0][3], "two jobs have one secret")
  }

  @Test func theFirstFailureEndsAll() async throws {
    var job = try job(["sleep 100", "exit 3", "sleep 100"])
    job.failureGrace = .milliseconds(200)
    let start = ContinuousClock.now
    let sentences = Sentences()
    let outcome = try await job.start(report: sentences.add).outcome()
    #expect(ContinuousClock.now - start < .seconds(20 * Patience.factor))
    #expect(outcome.status == 1 && outcome.firstFailure == 1 && outcome.lateRanks == [0, 2])
    #expect(outcome.ends == [0: .stopped, 1: .exited(3), 2: .stopped] && !outcome.wasKilled)
    #expect(sentences.all == ["ranks 0 and 2 did not end after the others: killed"])
  }

  @Test func afterASuccessOthersHaveALimitOfTheirOwn() async throws {
    var job = try job(["sleep 0.3", "exit 0", "sleep 100"])
    job.finishLimit = .seconds(1)
    let outcome = try await job.start(report: { _ in }).outcome()
    #expect(outcome.status == 1 && outcome.firstFailure == nil && outcome.lateRanks == [2])
    #expect(outcome.ends[0] == .exited(0))
  }

  @Test func aKilledRankIsReported() async throws {
    let sentences = Sentences()
    let job = try job(["kill -9 $$"]).start(report: sentences.add)
    let outcome = await job.outcome()
    #expect(outcome.ends[0] == .signalled(SIGKILL) && outcome.wasKilled && outcome.status == 1)
    #expect(sentences.all == ["rank 0: process \(job.processes[0]!) was ended by signal 9 (Killed)"])
  }

  @Test func aReaderThatHasLeftIsNoFailure() async throws {
    let sentences = Sentences()
    let outcome = try await job(["kill -PIPE $$", "sleep 100"]).start(report: sentences.add).outcome()
    #expect(outcome.status == 141 && outcome.readerHasLeft && outcome.ends[1] == .stopped && sentences.all.isEmpty)
  }

  @Test func stoppingIsSilent() async throws {
    let sentences = Sentences()
    let job = try job(["sleep 100", "sleep 100"]).start(report: sentences.add)
    job.stop()
    let outcome = await job.outcome()
    #expect(outcome.wasStopped && outcome.status == 1 && sentences.all.isEmpty)
    #expect(job.processes.values.allSatisfy { kill($0, 0) != 0 })
  }

  @Test func aJobThatIsForgottenEnds() async throws {
    let processes = try job(["sleep 100"]).start().processes
    #expect(try await becomesTrue { kill(processes[0]!, 0) != 0 })
  }

  @Test("what a rank leaves behind in its group ends with the job") func leftovers() async throws {
    #expect(try await run(["sleep 100 >/dev/null & echo $!"]).status == 0)
    let left = try #require(pid_t(output()))
    #expect(try await becomesTrue { kill(left, 0) != 0 })
  }

  @Test("children are reaped where SIGCHLD is ignored, which it then is again") func ignoredChildren() async throws {
    let before = signal(SIGCHLD, SIG_IGN)
    defer { signal(SIGCHLD, before) }
    #expect(try await run(["exit 3"]).ends == [0: .exited(3)])
    #expect(tutti_is_ignored(SIGCHLD) == 1)
  }

  // MARK: What ranks inherit

  /// No shells: they change their mask and dispositions.
  private func job(_ program: String, _ arguments: String...) throws -> JobDescription {
    let rank = RankDescription(rank: 0, program: program, arguments: arguments, output: .file("\(folder)/0"))
    return JobDescription(identity: try JobIdentity(rankCount: 1), ranks: [rank])
  }

  private func signalState() throws -> JobDescription { try job("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status") }

  @Test("started ranks get nothing of this process") func startedRanksAreIsolated() async throws {
    let before = signal(SIGUSR2, SIG_IGN)
    let descriptor = open("/dev/null", O_RDONLY)
    defer {
      signal(SIGUSR2, before)
      close(descriptor)
    }
    _ = try await signalState().start().outcome()
    let zeros = String(repeating: "0", count: 16)
    let found = try output()
    #expect(found == "SigBlk:\t\(zeros)\nSigIgn:\t\(zeros)")
    _ = try await job("ls", "/proc/self/fd").start().outcome()
    // The last is the folder.
    #expect(try output() == "0\n1\n2\n3")
  }

  @Test("ranks in the foreground get what this process had, and nothing that the launcher has changed")
  func foregroundRanksInherit() async throws {
    let (usr2, hup, chld) = (signal(SIGUSR2, SIG_IGN), signal(SIGHUP, SIG_IGN), signal(SIGCHLD, SIG_IGN))
    // A shell may have started the tests in the background, with this one ignored.
    let int = signal(SIGINT, SIG_DFL)
    defer {
      signal(SIGINT, int)
      signal(SIGUSR2, usr2)
      signal(SIGHUP, hup)
      signal(SIGCHLD, chld)
    }
    let job = try signalState()
    // Blocks SIGWINCH, and nothing else.
    let outcome = await onAThread(blocking: SIGWINCH) { try? job.run() }
    #expect(outcome?.status == 0)
    func bits(_ signals: [Int32]) -> UInt64 { signals.reduce(0) { $0 | 1 << UInt64($1 - 1) } }
    let lines = try output().split(separator: "\n")
    let blocked = UInt64(lines[0].split(separator: "\t")[1], radix: 16)
    let ignored = try #require(UInt64(lines[1].split(separator: "\t")[1], radix: 16))
    #expect(blocked == bits([SIGWINCH]))
    #expect(ignored & bits([SIGUSR2, SIGHUP, SIGCHLD, SIGINT]) == bits([SIGUSR2, SIGHUP, SIGCHLD]))
  }

  @Test func jobsLeakNoDescriptors() async throws {
    func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
    _ = try await run(["true"])
    let before = try count()
    for _ in 0..<5 { _ = try await run(["true", "exit 1"]) }
    // Remains of other suites in this process may open and close some descriptors for a moment.
    for _ in 0..<100 where try count() > before { try await Task.sleep(for: .milliseconds(20)) }
    #expect(try count() <= before)
  }

  // MARK: What cannot be started

  @Test func refusals() async throws {
    let identity = try JobIdentity(rankCount: 2)
    func code(_ ranks: RankDescription...) -> LaunchError.Code? {
      do throws(LaunchError) {
        _ = try JobDescription(identity: identity, ranks: ranks).start()
        return nil
      } catch { return error.code }
    }
    let shell = RankDescription(rank: 0, program: "sh", arguments: ["-c", "sleep 100"])
    #expect(code() == .invalidJob)
    #expect(code(shell, shell) == .invalidJob)
    #expect(code(RankDescription(rank: 2, program: "sh")) == .invalidJob)
    #expect(code(shell, RankDescription(rank: 1, program: "no-such-program")) == .program)
    #expect(code(shell, RankDescription(rank: 1, program: "/no/such/program")) == .program)
    #expect(code(shell, RankDescription(rank: 1, program: "/dev/null")) == .program)
    #expect(code(RankDescription(rank: 1, program: "sh", output: .file("/no/such/folder/file"))) == .output)
    #expect(throws: LaunchError.self) { try JobIdentity(rankCount: 0) }
    do {
      _ = try JobDescription(identity: identity, ranks: [RankDescription(rank: 1, program: "/no/such/program")]).start()
    } catch {
      #expect("\(error)" == "rank 1 of 2: /no/such/program could not be started: No such file or directory.")
    }
  }
}
