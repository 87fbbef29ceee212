import Foundation
import Testing

/// Ranks from which a sandbox, a limit or a container takes what shared memory needs: with `auto` they fall back loudly,
/// with `shm` all ranks get the reason, and too small a limit is refused before anything is taken. A peer's death is noticed
/// in each case.
@Suite(.serialized) struct SandboxTests {
  private static let isSanitized = ProcessInfo.processInfo.environment["TUTTI_TEST_SANITIZER"] != nil

  /// What seccomp answers, and how a rank reports it.
  static let obstacles: [(rule: String, obstacle: String)] = [
    ("memfd_create=1", "memfd_create: Operation not permitted"),
    ("memfd_create=38", "memfd_create: Function not implemented"),
    ("descriptors=13", "sendmsg with descriptors: Permission denied"),
  ]

  @Test(arguments: obstacles, [0, 1])
  func autoFallsBackLoudly(_ sandbox: (rule: String, obstacle: String), hampered: Int) async throws {
    let outcomes = try await FaultRanks.run(
      3, "auto auto 65536 30 3", inside: [hampered: FaultRanks.sandbox(sandbox.rule)])
    for (rank, outcome) in outcomes.enumerated() {
      #expect(outcome.status == 0, "rank \(rank): \(outcome.errors)")
      #expect(outcome.output.contains(rank == hampered ? "over tcp" : "over "), "rank \(rank): \(outcome.output)")
    }
    // One rank says it for all, and says what, who and why.
    let warnings = outcomes.map { $0.warnings.filter { $0.contains("will use TCP") } }
    #expect(warnings[0].count == 1 && warnings[1...].allSatisfy(\.isEmpty), "\(warnings)")
    #expect(warnings[0].first?.contains("rank \(hampered) on ") == true && warnings[0][0].contains(sandbox.obstacle))
  }

  @Test(arguments: obstacles, [0, 1])
  func askingForSharedMemoryIsAnErrorEverywhere(
    _ sandbox: (rule: String, obstacle: String), hampered: Int
  ) async throws {
    let outcomes = try await FaultRanks.run(3, "shm auto 65536 30 3", inside: [hampered: FaultRanks.sandbox(sandbox.rule)])
    for outcome in outcomes {
      #expect(outcome.status == 1 && outcome.errors.hasPrefix("configuration \(hampered): "), "\(outcome.errors)")
      #expect(outcome.errors.contains(sandbox.obstacle) && outcome.errors.contains("the transport auto or tcp"))
    }
  }

  @Test("tcp does without, and says what is lost") func tcpDoesWithout() async throws {
    let outcomes = try await FaultRanks.run(2, "tcp auto 65536 30 3", inside: [1: FaultRanks.sandbox("memfd_create=1")])
    for outcome in outcomes { #expect(outcome.status == 0, "\(outcome.errors)") }
    #expect(outcomes[0].warnings.count == 1 && outcomes[0].warnings[0].contains("noticed by its connections alone"))
    #expect(outcomes[1].warnings.isEmpty)
  }

  /// Without the departure board, without pidfds, in the sandbox of one rank or of all.
  @Test(arguments: ["memfd_create=1", "pidfd_open=1", "pidfd_open=38", "descriptors=1"], [[1], [0, 1, 2]])
  func aKilledRankIsStillNamed(rule: String, hampered: [Int]) async throws {
    let inside = Dictionary(uniqueKeysWithValues: hampered.map { ($0, FaultRanks.sandbox(rule)) })
    let ranks = try FaultRanks.start(3, ["auto", "auto", "65536", "60"], inside: inside)
    try await FaultRanks.awaitInside(ranks)
    kill(ranks[1].pid, SIGKILL)
    for rank in [0, 2] {
      let outcome = try await ranks[rank].outcome(limit: 1)
      #expect(outcome.status == 1 && outcome.errors.contains("peerLost 1: "), "rank \(rank): \(outcome.errors)")
      let isLoud = outcome.warnings.contains { $0.contains("cannot watch other processes") }
      #expect(isLoud == (rank == 0), "rank \(rank): \(outcome.errors)")
    }
  }

  /// Ranks that leave at different times are no deaths, also where nothing but connections tells of their ends.
  @Test(arguments: ["memfd_create=1", "pidfd_open=1"]) func leavingIsNoDeath(rule: String) async throws {
    for _ in 0..<3 {
      let inside = Dictionary(uniqueKeysWithValues: (0..<5).map { ($0, FaultRanks.sandbox(rule)) })
      for outcome in try await FaultRanks.run(5, "auto auto 8 30 20", inside: inside) {
        #expect(outcome.status == 0, "\(outcome.errors)")
      }
    }
  }

  // MARK: Limits

  /// Shell commands that take too much away from rank 1, how many ranks there must be for that, and words of the refusal.
  static let limits: [(command: String, rankCount: Int, words: [String])] = [
    ("ulimit -f 1000", 2, ["an anonymous file of ", "RLIMIT_FSIZE", "ulimit -f "]),
    // Enough for the program itself, with some room for it to grow, and not for as many regions.
    ("ulimit -v 80000", 8, [" of address space, and ", "RLIMIT_AS", "ulimit -v "]),
    // Thirteen more than what was inherited: enough to join, and not for a link.
    (
      "free=0; n=0; while [ $free -lt 13 ]; do [ -e /proc/$$/fd/$n ] || free=$((free + 1)); n=$((n + 1)); done; ulimit -n $n",
      2,
      [" more descriptors, and ", "RLIMIT_NOFILE", "ulimit -n "]
    ),
  ]

  @Test(.enabled(if: !isSanitized, "sanitizers need more than these limits"), arguments: limits, ["auto", "shm"])
  func tooSmallALimitIsRefused(
    _ limit: (command: String, rankCount: Int, words: [String]), transport: String
  ) async throws {
    let outcomes = try await FaultRanks.run(
      limit.rankCount, "\(transport) auto 65536 30 3", inside: [1: FaultRanks.after(limit.command)])
    for outcome in outcomes {
      #expect(
        outcome.status == 1 && outcome.errors.hasPrefix("resources 1: rank 1: shared memory with "), "\(outcome.errors)")
      for word in limit.words { #expect(outcome.errors.contains(word), "\(word): \(outcome.errors)") }
    }
  }

  @Test(.enabled(if: !isSanitized, "sanitizers need more than these limits")) func tcpNeedsLess() async throws {
    for (command, rankCount, _) in Self.limits.prefix(2) {
      for outcome in try await FaultRanks.run(
        rankCount, "tcp auto 65536 30 3", inside: [1: FaultRanks.after(command)])
      {
        #expect(outcome.status == 0, "\(command): \(outcome.errors)")
      }
    }
  }

  @Test("a split refuses too, on all ranks, and leaves the communicator alone") func splitsAreRefused() async throws {
    for (rank, outcome) in try await FaultRanks.run(3, "shm auto 8 30 duplicate").enumerated() {
      #expect(outcome.status == 0 && outcome.output.contains("over shm"), "rank \(rank): \(outcome.errors)")
      #expect(
        outcome.errors.hasPrefix("resources ") && outcome.errors.contains("was not formed"),
        "rank \(rank): \(outcome.errors)")
      if rank == 1 { #expect(outcome.errors.contains("RLIMIT_FSIZE"), "\(outcome.errors)") }
    }
  }

  @Test(
    "a limit that forbids files altogether is an obstacle, not a signal",
    .enabled(if: !isSanitized, "sanitizers need more than these limits"))
  func noFilesAtAll() async throws {
    // Its own output goes to a pipe then: a file would be forbidden too.
    let outcomes = try await FaultRanks.run(
      2, "auto auto 65536 30 3",
      inside: [1: ["/bin/sh", "-c", "(ulimit -f 0; \"$@\"; echo status $?) 2>&1 | cat", "sh"]])
    #expect(outcomes[0].status == 0 && outcomes[0].errors.contains("RLIMIT_FSIZE"), "\(outcomes[0].errors)")
    #expect(outcomes[1].output.contains("over tcp") && outcomes[1].output.contains("status 0"), "\(outcomes[1].output)")
  }

  /// Where a control group with a memory limit can be made: version 2, or version 1's.
  private static let memoryGroup: (folder: String, limit: String)? = {
    guard geteuid() == 0 else { return nil }
    for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
      let folder = "\(root)/tutti-test-\(getpid())"
      guard mkdir(folder, 0o755) == 0 else { continue }
      defer { rmdir(folder) }
      if access("\(folder)/\(limit)", W_OK) == 0 { return (folder, limit) }
    }
    return nil
  }()

  @Test(.enabled(if: memoryGroup != nil && !isSanitized, "needs root and a writable tree of memory control groups"))
  func tooSmallAMemoryGroupIsRefused() async throws {
    let (folder, limit) = try #require(Self.memoryGroup)
    try #require(mkdir(folder, 0o755) == 0)
    defer { rmdir(folder) }
    try Data("16777216".utf8).write(to: URL(filePath: "\(folder)/\(limit)"))
    let enter = FaultRanks.after("echo $$ > \(folder)/cgroup.procs")
    let outcomes = try await FaultRanks.run(
      4, "auto auto 65536 30 3", inside: Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, enter) }))
    for outcome in outcomes {
      #expect(outcome.status == 1 && outcome.errors.hasPrefix("resources "), "\(outcome.errors)")
      for word in ["of memory for the 4 ranks of its control group", "of 16 MiB are left (\(folder)/\(limit))"] {
        #expect(outcome.errors.contains(word), "\(outcome.errors)")
      }
    }
  }

  @Test(
    "collbench refuses buffers that its control group has no memory for, before the kernel kills a rank",
    .enabled(if: memoryGroup != nil && !isSanitized, "needs root and a writable tree of memory control groups"))
  func tooLargeBuffersAreRefused() async throws {
    let (folder, limit) = try #require(Self.memoryGroup)
    try #require(mkdir(folder, 0o755) == 0)
    defer { rmdir(folder) }
    try Data("536870912".utf8).write(to: URL(filePath: "\(folder)/\(limit)"))
    let command = "all-reduce --ranks 2 --transport tcp --iterations 1 --sizes "
    for (size, status) in [("256M", 64), ("1M", 0)] as [(String, Int32)] {
      let words = FaultRanks.after("echo $$ > \(folder)/cgroup.procs") + [Tool.path]
      let running = try Running(
        words[0], words.dropFirst() + (command + size).split(separator: " ").map(String.init))
      let outcome = try await running.outcome(limit: 30)
      #expect(outcome.status == status, "\(outcome.errors)")
      if status != 0 { #expect(outcome.errors.contains("are available (\(folder)/\(limit))"), "\(outcome.errors)") }
    }
  }

  // MARK: Containers and users

  private static let canUnshare = TestHosts.canRun && access("/usr/bin/unshare", X_OK) == 0

  @Test(.enabled(if: canUnshare, "needs root, namespaces and unshare(1)"))
  func anotherProcessNamespaceSharesMemory() async throws {
    let outcomes = try await FaultRanks.run(
      2, "shm auto 65536 30 3", inside: [1: ["/usr/bin/unshare", "--pid", "--fork", "--"]])
    for outcome in outcomes { #expect(outcome.status == 0 && outcome.output.contains("over shm"), "\(outcome.errors)") }
    #expect(outcomes[0].warnings.count == 1 && outcomes[0].warnings[0].contains("different process namespaces"))
  }

  @Test(.enabled(if: TestHosts.canRun, "needs root and network namespaces"), arguments: ["auto", "shm"])
  func anotherNetworkNamespaceDoesNot(transport: String) async throws {
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let arguments = "2 -- \(FaultRanks.program) \(transport) auto 65536 30 3"
    let outcome = try await Running(script, arguments.split(separator: " ").map(String.init)).outcome(limit: 60)
    #expect((outcome.status == 0) == (transport == "auto"), "\(outcome.errors)")
    let words = "on one machine in different network namespaces"
    #expect(outcome.errors.split(separator: "\n").count { $0.contains(words) } == (transport == "auto" ? 1 : 2))
    if transport == "auto" { #expect(outcome.output.contains("over tcp"), "\(outcome.output)") }
  }

  /// The words before a program that run it as nobody; nil where that cannot be, or nobody may not read the program.
  private static let asNobody: [String]? = {
    let words = ["/usr/bin/setpriv", "--reuid", "65534", "--clear-groups", "--"]
    guard geteuid() == 0, access(words[0], X_OK) == 0 else { return nil }
    let trial = Process()
    trial.executableURL = URL(filePath: words[0])
    trial.arguments = Array(words.dropFirst()) + [FaultRanks.program]
    trial.standardError = FileHandle.nullDevice
    try? trial.run()
    trial.waitUntilExit()
    // Its complaint about arguments.
    return trial.terminationStatus == 64 ? words : nil
  }()

  @Test(.enabled(if: asNobody != nil, "needs root, setpriv(1), and a build that every user can read"))
  func anotherUserGetsNoMemory() async throws {
    let inside = try [1: #require(Self.asNobody)]
    let words = "runs as user \(geteuid()) and rank 1"
    for outcome in try await FaultRanks.run(2, "shm auto 65536 30 3", inside: inside) {
      #expect(outcome.status == 1 && outcome.errors.hasPrefix("configuration 1: "), "\(outcome.errors)")
      #expect(outcome.errors.contains(words) && outcome.errors.contains("as user 65534"), "\(outcome.errors)")
    }
    let outcomes = try await FaultRanks.run(2, "auto auto 65536 30 3", inside: inside)
    for outcome in outcomes { #expect(outcome.status == 0 && outcome.output.contains("over tcp"), "\(outcome.errors)") }
    #expect(outcomes[0].warnings.contains { $0.contains(words) }, "\(outcomes[0].errors)")
  }
}
