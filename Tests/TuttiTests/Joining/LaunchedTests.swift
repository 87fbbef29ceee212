import Testing
import Tutti

/// What a program is told that can run alone and as a rank.
@Suite struct LaunchedTests {
  @Test(
    arguments: [
      ([:], false), (["PATH": "/bin", "OMPI_COMM_WORLD_RANK": "1"], false), (["TUTTI_RANK": ""], false),
      (["TUTTI_RANK": "0"], true), (["RANK": "0"], true),
      (["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"], true),
      (["PMI_RANK": "0", "PMI_SIZE": "2"], true), (["SLURM_JOB_ID": "17"], true),
    ] as [([String: String], Bool)])
  func aLauncherIsSeen(_ environment: [String: String], _ expected: Bool) {
    #expect(Communicator.isLaunched(environment: environment) == expected)
  }
}
