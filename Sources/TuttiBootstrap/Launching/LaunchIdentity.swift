import TuttiSystem

/// Says who this process is in its job.
package struct LaunchIdentity: Sendable {
  package let rank: Int
  package let rankCount: Int
  /// Where its ranks meet.
  package let place: MeetingPlace
  /// Which variables said so, for messages and logs.
  package let source: String
  /// What the launcher calls the job; nil where it has no name. Part of the key that connections are proven with.
  package let job: String?
  /// The launcher's key-value space, when ``place`` is there, or when the launcher told there how many ranks there are.
  let space: LauncherSpace?

  package init(
    rank: Int, rankCount: Int, place: MeetingPlace, source: String, job: String? = nil, space: LauncherSpace? = nil
  ) {
    precondition((1...JobSize.ranksMax).contains(rankCount) && (0..<rankCount).contains(rank))
    self.rank = rank
    self.rankCount = rankCount
    self.place = place
    self.source = source
    self.job = job
    self.space = space
  }

  package init(rank: Int, rankCount: Int, rendezvous: RendezvousAddress, source: String, job: String? = nil) {
    self.init(rank: rank, rankCount: rankCount, place: .address(rendezvous), source: source, job: job)
  }

  /// The address that all ranks know; nil when they meet over a store.
  var rendezvous: RendezvousAddress? { place.address }

  /// Reads the secret that connections prove.
  ///
  /// - Returns: nil when the environment has none and the launcher's key-value space can carry one: rank 0 draws it.
  /// - Throws: As ``JobSecret/read(_:job:)``; the advice says what this launcher can do about it.
  package func readSecret(_ environment: [String: String]) throws(FailureReport) -> JobSecret? {
    if space != nil, rendezvous == nil, !JobSecret.isSet(in: environment) { return nil }
    do throws(FailureReport) {
      return try JobSecret.read(environment, job: job)
    } catch {
      guard error.code == .authentication, source.hasPrefix(LaunchFamily.slurmRank) else { throw error }
      throw FailureReport(
        error.code, rank: rank, error.message,
        advice: error.advice + ". With srun --mpi=pmi2 or --mpi=pmix, Slurm carries one to the ranks")
    }
  }
}
