import Glibc
import TuttiLaunch

/// The process of rank 1, a child of this one; rank 0 is this process.
struct SecondRank {
  private let job: RunningJob
  /// The environment that rank 0 joins with: the same job, another rank.
  let firstRankEnvironment: [String: String]

  /// Starts this program once more as rank 1 of a job made for the occasion.
  static func start() throws(LaunchError) -> SecondRank {
    let identity = try JobIdentity(rankCount: 2)
    let rank = RankDescription(
      rank: 1, program: ThisProgram.path, arguments: Array(CommandLine.arguments.dropFirst()))
    return SecondRank(
      job: try JobDescription(identity: identity, ranks: [rank]).start(),
      firstRankEnvironment: identity.environment(rank: 0))
  }

  /// Waits until rank 1 has ended: its last operation is rank 0's last, so that is at once, or it has an error to report.
  ///
  /// - Returns: The exit status to end with.
  func waitForEnd() -> Int32 { job.wait().status }

  func kill() {
    job.stop()
    _ = job.wait()
  }
}
