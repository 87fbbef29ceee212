import TuttiSystem

/// Speaks PMIx with the launcher.
///
/// Its calls cannot be given a limit: a thread that makes one is left behind by whoever waits for it. libpmix serves a
/// process once, since what it does when it is started again after its end depends on its version.
final class PMIxClient: LauncherClient {
  private let server: any PMIxServer
  private let clock: MonotonicClock

  /// Introduces this process to the server.
  ///
  /// - Parameter rank: What the environment says that this process is.
  /// - Throws: `.configuration` when the server says something else.
  init(_ server: any PMIxServer, rank: Int, clock: MonotonicClock) throws(FailureReport) {
    (self.server, self.clock) = (server, clock)
    let known = try server.begin()
    guard known != rank else { return }
    throw FailureReport(
      .configuration, rank: rank,
      "the launcher's PMIx server calls this process rank \(known), and its environment rank \(rank)",
      advice: "Start the ranks directly by the launcher, or set TUTTI_RENDEZVOUS and TUTTI_SECRET to do without PMIx")
  }

  var outlivesErrors: Bool { true }

  func put(_ value: String, for key: String, deadline: UInt64) throws(FailureReport) {
    try server.put(value, for: key)
  }

  func get(_ key: String, deadline: UInt64) throws(FailureReport) -> String? { try server.get(key) }

  func barrier(deadline: UInt64) throws(FailureReport) { try server.fence() }

  func finalize(deadline: UInt64) throws(FailureReport) {
    let server = server
    _ = try limitedCall("tutti-pmix", until: deadline, clock: clock, orElse: "cannot start a thread for PMIx") {
      try? server.finalize()
    }
  }
}

/// The place where the ranks of a launcher with a PMIx server meet.
struct PMIxMeeting {
  /// How the protocol is called.
  private static let name = "PMIx"
  private let server: any PMIxServer
  private let clock: MonotonicClock
  private let rank: Int
  private let sizePatience: UInt64
  let space: LauncherSpace

  /// Whether the launcher of this environment has a server.
  static func isOffered(_ environment: [String: String]) -> Bool {
    let variables = EnvironmentReader(environment)
    return variables["PMIX_NAMESPACE"] != nil && variables["PMIX_RANK"] != nil
      && environment.contains { $0.key.hasPrefix("PMIX_SERVER_URI") && !$0.value.isEmpty }
  }

  /// Opens the library, and says nothing to the server yet.
  ///
  /// - Parameters:
  ///   - rank: What the environment says that this process is.
  ///   - sizePatience: How long the server may take to say how many ranks there are, in nanoseconds.
  /// - Throws: `.configuration` when there is no library.
  init(
    _ server: any PMIxServer, rank: Int, _ environment: [String: String], claims: LauncherClaims,
    sizePatience: UInt64 = 60 * Clock.second, clock: MonotonicClock = .system
  ) throws(FailureReport) {
    (self.server, self.clock, self.rank, self.sizePatience) = (server, clock, rank, sizePatience)
    do throws(FailureReport) {
      try server.open(environment)
    } catch {
      throw FailureReport(error.code, rank: rank, error.message, advice: error.advice)
    }
    space = LauncherSpace(Self.name, clock: clock) { _ throws(FailureReport) in
      try claims.claim(Self.name, over: Self.name)
      return try PMIxClient(server, rank: rank, clock: clock)
    }
  }

  /// Asks the server for the number of ranks.
  ///
  /// - Throws: `.rendezvous` when it does not know, or does not answer in time, or when this process has met over PMIx
  ///   before.
  func rankCount() throws(FailureReport) -> Int {
    let (server, space) = (server, space)
    let deadline = clock.now() + sizePatience
    let answer: Result<Int, FailureReport>? = try limitedCall(
      "tutti-pmix", until: deadline, clock: clock, rank: rank, orElse: "cannot start a thread to ask PMIx"
    ) {
      do throws(FailureReport) {
        try space.open(deadline: deadline)
        return .success(try server.rankCount())
      } catch { return .failure(error) }
    }
    guard let answer else {
      throw FailureReport(
        .rendezvous, rank: rank,
        "the launcher's PMIx server has not told the number of ranks within \(secondsText(Double(sizePatience) / 1e9)) s",
        advice: "Look at the launcher, or set TUTTI_SIZE, TUTTI_RENDEZVOUS and TUTTI_SECRET to do without PMIx")
    }
    return try answer.get()
  }
}
