import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// A launcher that speaks PMI-1 with the ranks of one job, each over a socket.
private final class PMILauncher: Sendable {
  private struct State {
    var values: [String: String] = ["PMI_process_mapping": "(vector,(0,1,2))"]
    var atBarrier = 0
    var barriers = 0
    var finalized = 0
  }

  /// What it answers instead, by command.
  let lies: [String: String]
  private let rankCount: Int
  private let state = Lock(State())

  init(_ rankCount: Int, lies: [String: String] = [:]) { (self.rankCount, self.lies) = (rankCount, lies) }

  var finalized: Int { state.withLock { $0.finalized } }

  /// Starts serving one more rank. Returns its end.
  func connect() throws -> Int32 {
    var ends: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    let end = ends[1]
    try startDetachedThread("test-pmi") { self.serve(end) }
    return ends[0]
  }

  private func serve(_ socket: Int32) {
    defer { close(socket) }
    var text = ""
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(socket, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      text += String(decoding: buffer[..<count], as: UTF8.self)
      while let end = text.firstIndex(of: "\n") {
        let line = String(text[..<end])
        // Slurm takes these words in no other order.
        if line.hasPrefix("cmd=init"), line != "cmd=init pmi_version=1 pmi_subversion=1" { return }
        let words = PMIClient.words(line)
        text = String(text[text.index(after: end)...])
        let answer = (answer(words) ?? "") + "\n"
        // In pieces, as a socket may deliver it.
        for piece in [answer.prefix(3), answer.dropFirst(3)] where !piece.isEmpty {
          _ = String(piece).withCString { send(socket, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        }
      }
    }
  }

  private func answer(_ words: [String: String]) -> String? {
    let command = words["cmd"] ?? ""
    if let lie = lies[command] { return lie }
    switch command {
    case "init": return "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0"
    case "get_my_kvsname": return "cmd=my_kvsname kvsname=kvs_1_0_vm"
    case "put":
      state.withLock { $0.values[words["key"] ?? ""] = words["value"] }
      return "cmd=put_result rc=0 msg=success"
    case "get":
      guard let value = state.withLock({ $0.values[words["key"] ?? ""] }) else {
        return "cmd=get_result rc=-1 msg=key_not_found"
      }
      return "cmd=get_result rc=0 msg=success value=\(value)"
    case "barrier_in":
      let turn = state.withLock { state in
        state.atBarrier += 1
        if state.atBarrier == rankCount { (state.atBarrier, state.barriers) = (0, state.barriers + 1) }
        return state.barriers
      }
      let isOut = { self.state.withLock { $0.barriers > turn || $0.atBarrier == 0 } }
      _ = Clock.wait(until: Patience.deadline(seconds: 10), for: isOut)
      return "cmd=barrier_out tag=0"
    case "finalize":
      state.withLock { $0.finalized += 1 }
      return "cmd=finalize_ack rc=0"
    default: return nil
    }
  }
}

extension OverSockets {
  @Suite struct PMITests {
    private static func rendezvous(_ launcher: PMILauncher) throws -> LauncherSpace {
      PMIClient.space(descriptor: try launcher.connect(), claims: LauncherClaims())
    }

    @Test(arguments: [2, 5]) func ranksMeetOverPMI(_ rankCount: Int) throws {
      let launcher = PMILauncher(rankCount)
      let spaces = try (0..<rankCount).map { _ in try Self.rendezvous(launcher) }
      let results = try runRanks(0..<rankCount) { rank throws(FailureReport) in
        let identity = LaunchIdentity(
          rank: rank, rankCount: rankCount, place: .store(spaces[rank], key: "tutti-main"), source: "the test",
          space: spaces[rank])
        defer { spaces[rank].finalize() }
        // Rank 0 draws the secret.
        return try Membership.join(
          identity: identity, secret: nil, offers: testOffers, deadline: Patience.deadline(seconds: 10))
      }
      for rank in 0..<rankCount { try results[rank]!.get().leave() }
      #expect(launcher.finalized == rankCount)
    }

    @Test func aValueIsFoundAgainAndAMissingOneIsNil() throws {
      let space = try Self.rendezvous(PMILauncher(1))
      try space.put(Array("abc:1".utf8), for: "tutti-main", timeout: .seconds(5))
      #expect(try space.get("tutti-main", timeout: .seconds(5)) == Array("abc:1".utf8))
      #expect(try space.get("other", timeout: .seconds(5)) == nil)
      space.finalize()
      #expect(throws: FailureReport.self) { try space.get("tutti-main", timeout: .seconds(5)) }
    }

    /// What answers, and what the error must say.
    @Test(arguments: [
      (["init": "HTTP/1.1 400 Bad Request"], "does not speak PMI-1"),
      (["init": "cmd=response_to_init rc=-1 msg=no"], "refuses PMI's init"),
      (["get_my_kvsname": "cmd=my_kvsname"], "has no name"),
      (["put": "cmd=put_result rc=-1 msg=full"], "refuses PMI's put (rc=-1 full)"),
      (["barrier_in": "cmd=get_result rc=0"], "to barrier_in it answers"),
      (["init": String(repeating: "x", count: 20_000)], "bytes without a line's end"),
    ])
    func launchersThatAnswerNonsenseAreNamed(_ lies: [String: String], _ text: String) throws {
      let space = try Self.rendezvous(PMILauncher(1, lies: lies))
      let error = #expect(throws: FailureReport.self) { try space.put([0x61], for: "tutti-main", timeout: .seconds(5)) }
      #expect(error?.message.contains(text) == true && error?.advice.isEmpty == false, "\(error?.description ?? "")")
    }

    @Test func launchersThatAnswerNothingAreNamedInTime() throws {
      var ends: [Int32] = [0, 0]
      try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
      defer { close(ends[1]) }
      let space = PMIClient.space(descriptor: ends[0], claims: LauncherClaims())
      let error = #expect(throws: FailureReport.self) { try space.get("tutti-main", timeout: .milliseconds(100)) }
      #expect(error?.message.contains("did not answer init in time") == true)
      // Nor does the goodbye wait for it.
      space.finalize()
    }

    @Test func launchersThatHaveEndedAreNamed() throws {
      var ends: [Int32] = [0, 0]
      try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
      close(ends[1])
      let space = PMIClient.space(descriptor: ends[0], claims: LauncherClaims())
      let error = #expect(throws: FailureReport.self) { try space.get("tutti-main", timeout: .seconds(5)) }
      #expect(error?.message.contains("closed its PMI connection") == true)
    }

    @Test func aDescriptorThatIsNoSocketIsLeftAlone() throws {
      let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      let space = PMIClient.space(descriptor: file, claims: LauncherClaims())
      let error = #expect(throws: FailureReport.self) { try space.get("tutti-main", timeout: .seconds(5)) }
      #expect(error?.message.contains("PMI_FD=\(file)") == true)
      #expect(fcntl(file, F_GETFD) >= 0)
    }

    /// MPI may have begun before, and uses the connection after; it closes what the launcher gave the process.
    @Test func mpiUsesTheConnectionToo() throws {
      let launcher = PMILauncher(1)
      let descriptor = try launcher.connect()
      func mpi(_ line: String) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        _ = (line + "\n").withCString { send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        var text = ""
        while !text.hasSuffix("\n") {
          let count = recv(descriptor, &buffer, buffer.count, 0)
          if count <= 0 { break }
          text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return text
      }
      #expect(mpi("cmd=init pmi_version=1 pmi_subversion=1").hasPrefix("cmd=response_to_init"))
      let space = PMIClient.space(descriptor: descriptor, claims: LauncherClaims())
      try space.put([0x61], for: "tutti-main", timeout: .seconds(5))
      #expect(launcher.finalized == 0)
      #expect(mpi("cmd=barrier_in").hasPrefix("cmd=barrier_out"))
      #expect(mpi("cmd=finalize").hasPrefix("cmd=finalize_ack") && shutdown(descriptor, Int32(SHUT_RDWR)) == 0)
      close(descriptor)
      // What is said at the exit finds that it is over.
      space.finalize()
      #expect(launcher.finalized == 1)
    }

    @Test func aProcessMeetsOverPMIOnce() throws {
      let claims = LauncherClaims()
      let descriptor = try PMILauncher(1).connect()
      let first = PMIClient.space(descriptor: descriptor, claims: claims)
      try first.put([0x61], for: "tutti-main", timeout: .seconds(5))
      let second = PMIClient.space(descriptor: descriptor, claims: claims)
      let error = #expect(throws: FailureReport.self) { try second.put([0x61], for: "x", timeout: .seconds(5)) }
      #expect(error?.message.contains("joined over PMI before") == true)
      first.finalize()
    }
  }
}
