import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// The PMIx servers of one job, in memory.
private final class PMIxJob: Sendable {
  private struct State {
    var values: [String: String] = [:]
    var fenced: [String: String] = [:]
    var atFence = 0
    var fences = 0
    var finalized = 0
  }

  let rankCount: Int
  private let state = Lock(State())

  init(_ rankCount: Int) { self.rankCount = rankCount }

  var finalized: Int { state.withLock { $0.finalized } }
  func put(_ value: String, for key: String) { state.withLock { $0.values[key] = value } }
  /// What was put is found after a fence, not before.
  func get(_ key: String) -> String? { state.withLock { $0.fenced[key] } }
  func finalize() { state.withLock { $0.finalized += 1 } }

  func fence() {
    let turn = state.withLock { state in
      state.atFence += 1
      if state.atFence == rankCount { (state.atFence, state.fences, state.fenced) = (0, state.fences + 1, state.values) }
      return state.fences
    }
    _ = Clock.wait(until: Patience.deadline(seconds: 10)) {
      self.state.withLock { $0.fences > turn || $0.atFence == 0 }
    }
  }
}

/// One rank's server.
private struct FakePMIx: PMIxServer {
  let job: PMIxJob
  let rank: Int
  /// The call that fails.
  var broken = ""
  /// For how long it says nothing before it greets a process, in nanoseconds.
  var silence: UInt64 = 0

  private func call(_ name: String) throws(FailureReport) {
    guard name == broken else { return }
    throw FailureReport(.rendezvous, "the launcher's PMIx server could not \(name)", advice: "Look at it")
  }

  func open(_ environment: [String: String]) throws(FailureReport) { try call("open") }
  func begin() throws(FailureReport) -> Int {
    MonotonicClock.system.pause(silence)
    try call("begin")
    return rank
  }
  func rankCount() throws(FailureReport) -> Int {
    try call("count")
    return job.rankCount
  }
  func put(_ value: String, for key: String) throws(FailureReport) {
    try call("put")
    job.put(value, for: key)
  }
  func fence() throws(FailureReport) {
    try call("fence")
    job.fence()
  }
  func get(_ key: String) throws(FailureReport) -> String? {
    try call("get")
    return job.get(key)
  }
  func finalize() throws(FailureReport) { job.finalize() }
}

extension OverSockets {
  @Suite struct PMIxTests {
    private static let server = ["PMIX_SERVER_URI41": "pmix-server;tcp4://127.0.0.1:9"]
    private static func openMPI(_ rank: Int, _ count: Int) -> [String: String] {
      [
        "OMPI_COMM_WORLD_RANK": "\(rank)", "OMPI_COMM_WORLD_SIZE": "\(count)", "PMIX_RANK": "\(rank)",
        "PMIX_NAMESPACE": "job@1",
      ].merging(server) { $1 }
    }
    private static func prrte(_ rank: Int) -> [String: String] {
      ["PMIX_RANK": "\(rank)", "PMIX_NAMESPACE": "job@1"].merging(server) { $1 }
    }
    private static func slurm(_ rank: Int, _ count: Int) -> [String: String] {
      LauncherTests.slurm.merging(server) { $1 }.merging(
        [
          "SLURM_PROCID": "\(rank)", "SLURM_STEP_NUM_TASKS": "\(count)", "PMIX_RANK": "\(rank)",
          "PMIX_NAMESPACE": "slurm.pmix.17.1",
        ]) { $1 }
    }

    /// Joins as every rank of the environments, each as a process of its own would.
    private func meet(_ environments: [[String: String]]) throws {
      let count = environments.count
      let job = PMIxJob(count)
      let results = try runRanks(0..<count) { rank throws(FailureReport) in
        let identity = try LaunchIdentity.read(
          environments[rank], pmix: FakePMIx(job: job, rank: rank), claims: LauncherClaims())
        defer { identity.space?.finalize() }
        guard identity.rank == rank, identity.rankCount == count, try identity.readSecret([:]) == nil else {
          throw FailureReport(.configuration, "\(identity)")
        }
        // Rank 0 draws the secret.
        return try Membership.join(
          identity: identity, secret: nil, offers: testOffers, deadline: Patience.deadline(seconds: 10))
      }
      for rank in 0..<count { try results[rank]!.get().leave() }
      #expect(job.finalized == count)
    }

    @Test(arguments: [2, 5]) func ranksOfOpenMPIMeet(_ count: Int) throws {
      try meet((0..<count).map { Self.openMPI($0, count) })
    }

    /// No variable tells the number of ranks.
    @Test func ranksOfPRRTEMeet() throws { try meet((0..<3).map { Self.prrte($0) }) }

    @Test func ranksOfSlurmMeet() throws { try meet((0..<2).map { Self.slurm($0, 2) }) }

    /// A library is needed for PMIx alone.
    @Test func whoeverHasAnotherWayOpensNoLibrary() throws {
      let absent = FakePMIx(job: PMIxJob(2), rank: 0, broken: "open")
      let own = ["TUTTI_RENDEZVOUS": "10.0.0.1:29500"]
      let meeting = try LaunchIdentity.read(Self.openMPI(0, 2).merging(own) { $1 }, pmix: absent)
      #expect(meeting.place.address?.description == "10.0.0.1:29500")
      let sized = try LaunchIdentity.read(
        Self.prrte(0).merging(own) { $1 }.merging(["TUTTI_SIZE": "2"]) { $1 }, pmix: absent)
      #expect(sized.rankCount == 2)
      let step = try LaunchIdentity.read(Self.slurm(0, 2).merging(["TUTTI_SECRET": "s"]) { $1 }, pmix: absent)
      #expect(step.place.address != nil && step.source.contains("SLURM_STEP_NODELIST"))
    }

    /// The number of ranks comes from the launcher, the place from the user: so does the secret.
    @Test func aPlaceOfTheUserNeedsASecretOfTheUser() throws {
      let job = PMIxJob(2)
      let environment = Self.prrte(1).merging(["TUTTI_RENDEZVOUS": "10.0.0.1:29500"]) { $1 }
      let identity = try LaunchIdentity.read(environment, pmix: FakePMIx(job: job, rank: 1), claims: LauncherClaims())
      #expect(identity.rankCount == 2 && identity.place.address?.description == "10.0.0.1:29500")
      let error = #expect(throws: FailureReport.self) { try identity.readSecret([:]) }
      #expect(error?.code == .authentication)
      identity.space?.finalize()
      #expect(job.finalized == 1)
    }

    /// Which call fails, and what the error must say.
    @Test(arguments: [("begin", "could not begin"), ("put", "could not put"), ("fence", "could not fence")])
    func failuresOfTheServerAreNamed(_ call: String, _ text: String) throws {
      let job = PMIxJob(1)
      let identity = try LaunchIdentity.read(
        Self.openMPI(0, 1), pmix: FakePMIx(job: job, rank: 0, broken: call), claims: LauncherClaims())
      guard case .store(let space, let key) = identity.place else { throw FailureReport(.configuration, "no space") }
      let error = #expect(throws: FailureReport.self) { try space.put([0x61], for: key, timeout: .seconds(5)) }
      #expect(error?.message.contains(text) == true && error?.advice.isEmpty == false, "\(String(describing: error))")
      identity.space?.finalize()
      // A process that was introduced owes a goodbye, whatever came then.
      #expect(job.finalized == (call == "begin" ? 0 : 1))
    }

    @Test func aServerThatKnowsAnotherRankIsNamed() throws {
      let job = PMIxJob(2)
      let error = #expect(throws: FailureReport.self) {
        try LaunchIdentity.read(Self.prrte(1), pmix: FakePMIx(job: job, rank: 0), claims: LauncherClaims())
      }
      #expect(error?.message.contains("calls this process rank 0, and its environment rank 1") == true)
      let outside = #expect(throws: FailureReport.self) {
        try LaunchIdentity.read(Self.prrte(2), pmix: FakePMIx(job: job, rank: 2), claims: LauncherClaims())
      }
      #expect(outside?.message.contains("PMIX_RANK=2 is outside the job, which has 2 ranks") == true)
    }

    @Test func aSilentServerIsNamedInTime() throws {
      let silent = FakePMIx(job: PMIxJob(2), rank: 0, silence: 30 * Clock.second)
      let meeting = try PMIxMeeting(silent, rank: 0, [:], claims: LauncherClaims(), sizePatience: Clock.second / 5)
      let error = #expect(throws: FailureReport.self) { try meeting.rankCount() }
      #expect(error?.message.contains("has not told the number of ranks") == true)
    }

    @Test func aProcessMeetsOverPMIxOnce() throws {
      let (job, claims) = (PMIxJob(1), LauncherClaims())
      let read = { () throws(FailureReport) in
        try LaunchIdentity.read(Self.prrte(0), pmix: FakePMIx(job: job, rank: 0), claims: claims)
      }
      try read().space?.finalize()
      let error = #expect(throws: FailureReport.self) { try read() }
      #expect(error?.message.contains("joined over PMIx before") == true)
    }
  }
}
