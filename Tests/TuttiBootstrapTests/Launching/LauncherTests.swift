import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// What launchers set, as they were seen to set it, and who a process is by that.
@Suite struct LauncherTests {
  static let torchrun = [
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node0", "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "980fd55e", "TORCHELASTIC_RESTART_COUNT": "0",
  ]
  static let openMPI = [
    "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "PMIX_RANK": "2",
    "PMIX_NAMESPACE": "prterun-vm-12397@1",
  ]
  static let hydra = ["PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "9", "MPI_LOCALRANKID": "1"]
  static let slurm = [
    "SLURM_PROCID": "2", "SLURM_NTASKS": "9", "SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_ID": "17", "SLURM_STEP_ID": "1",
    "SLURM_STEP_NODELIST": "node[0-1]", "SLURM_JOB_NODELIST": "node[0-7]", "SLURM_DISTRIBUTION": "block",
  ]
  static let batch = ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "17"]
  static let meeting = ["TUTTI_RENDEZVOUS": "10.0.0.1:29500"]

  static func merged(_ environments: [String: String]...) -> [String: String] {
    environments.reduce(into: [:]) { $0.merge($1) { $1 } }
  }

  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let environment: [String: String]
    let rank: Int
    let rankCount: Int
    /// nil for the launcher's own space.
    let place: String?
    let job: String?

    init(_ name: String, _ environment: [String: String], _ rank: Int, of count: Int, at place: String?, job: String?) {
      (description, self.environment, self.rank, rankCount, self.place, self.job) = (
        name, environment, rank, count, place, job
      )
    }
  }

  static let cases = [
    Case("torchrun", torchrun, 1, of: 4, at: "node0:29501", job: "980fd55e"),
    Case("torchrun, own place", merged(torchrun, meeting), 1, of: 4, at: "10.0.0.1:29500", job: "980fd55e"),
    Case(
      "plain", ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "fd00::1", "MASTER_PORT": "7"], 0, of: 2, at: "[fd00::1]:7",
      job: nil),
    Case(
      "no master, own place", merged(["RANK": "0", "WORLD_SIZE": "2"], meeting), 0, of: 2, at: "10.0.0.1:29500", job: nil),
    Case("Open MPI", merged(openMPI, meeting), 2, of: 4, at: "10.0.0.1:29500", job: "prterun-vm-12397@1"),
    Case("hydra", hydra, 3, of: 4, at: nil, job: nil),
    Case("hydra, own place", merged(hydra, meeting), 3, of: 4, at: "10.0.0.1:29500", job: nil),
    Case("srun --mpi=pmi2", merged(slurm, hydra, ["PMI_JOBID": "17.1"]), 3, of: 4, at: nil, job: "17.1"),
    Case("srun", slurm, 2, of: 4, at: "node0:24353", job: "17.1"),
    Case(
      "srun, reserved", merged(slurm, ["SLURM_STEP_RESV_PORTS": "30001-30002"]), 2, of: 4, at: "node0:30001", job: "17.1"),
    Case(
      "srun, arbitrary, own place", merged(slurm, ["SLURM_DISTRIBUTION": "arbitrary"], meeting), 2, of: 4,
      at: "10.0.0.1:29500", job: "17.1"),
    Case("salloc mpirun", merged(slurm, openMPI, meeting), 2, of: 4, at: "10.0.0.1:29500", job: "prterun-vm-12397@1"),
    Case(
      "salloc mpiexec.hydra", merged(slurm, ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"], hydra), 3, of: 4, at: nil,
      job: nil),
    Case("srun torchrun", merged(slurm, torchrun), 1, of: 4, at: "node0:29501", job: "980fd55e"),
    Case(
      "prterun", merged(["PMIX_RANK": "1", "PMIX_NAMESPACE": "n@1", "TUTTI_SIZE": "2"], meeting), 1, of: 2,
      at: "10.0.0.1:29500", job: "n@1"),
    Case(
      "Kubernetes", merged(["JOB_COMPLETION_INDEX": "1", "TUTTI_SIZE": "2"], meeting), 1, of: 2, at: "10.0.0.1:29500",
      job: nil),
    Case(
      "own inside all", merged(slurm, openMPI, hydra, meeting, ["TUTTI_RANK": "0", "TUTTI_SIZE": "9"]), 0, of: 9,
      at: "10.0.0.1:29500", job: nil),
    Case(
      "a shell's RANK in Open MPI", merged(["RANK": "7"], openMPI, meeting), 2, of: 4, at: "10.0.0.1:29500",
      job: "prterun-vm-12397@1"),
  ]

  @Test(arguments: cases) func readsLaunchers(_ expected: Case) throws {
    let identity = try LaunchIdentity.read(expected.environment)
    #expect(identity.rank == expected.rank && identity.rankCount == expected.rankCount)
    #expect(identity.place.address?.description == expected.place)
    #expect(identity.job == expected.job)
    #expect(LaunchIdentity.isLaunched(expected.environment))
    #expect(LaunchIdentity.rankText(expected.environment) == "\(expected.rank)")
  }

  /// Environment, and what the error must name.
  @Test(
    arguments: [
      (openMPI, ["rank 2 of 4", "TUTTI_RENDEZVOUS", "mpirun -x"]),
      (
        merged(openMPI, ["PMIX_SERVER_URI2": "u", "TUTTI_PMIX_LIBRARY": "/no/libpmix.so"]),
        ["rank 2", "/no/libpmix.so", "No such file", "TUTTI_PMIX_LIBRARY"]
      ),
      (
        merged(openMPI, ["PMIX_SERVER_URI2": "u", "TUTTI_PMIX_LIBRARY": "libc.so.6"]),
        ["libc.so.6 has no PMIx_Init", "unset it"]
      ),
      (["PMI_RANK": "0", "PMI_SIZE": "2"], ["where the ranks meet", "TUTTI_RENDEZVOUS"]),
      (merged(hydra, ["PMI_FD": "x"]), ["PMI_FD=\"x\""]),
      (merged(hydra, ["PMI_SIZE": "3"]), ["PMI_RANK=3", "PMI_SIZE=3"]),
      (merged(hydra, ["TUTTI_SIZE": "5"]), ["PMI_SIZE=4", "TUTTI_SIZE=\"5\""]),
      (["PMIX_RANK": "1"], ["PMIX_RANK", "TUTTI_SIZE"]),
      (["JOB_COMPLETION_INDEX": "1"], ["Kubernetes", "TUTTI_SIZE", "TUTTI_RENDEZVOUS"]),
      (["JOB_COMPLETION_INDEX": "1", "TUTTI_SIZE": "2"], ["rank 1 of 2", "TUTTI_RENDEZVOUS"]),
      (["JOB_COMPLETION_INDEX": "2", "TUTTI_SIZE": "2"], ["JOB_COMPLETION_INDEX=2"]),
      (batch, ["Slurm allocation", "srun"]),
      (merged(slurm, ["SLURM_STEP_ID": "4294967290"]), ["Slurm allocation", "srun"]),
      (merged(slurm, ["SLURM_DISTRIBUTION": "arbitrary"]), ["SLURM_DISTRIBUTION", "--mpi=pmi2", "TUTTI_RENDEZVOUS"]),
      (merged(slurm, ["SLURM_STEP_NODELIST": "node[0-1"]), ["SLURM_STEP_NODELIST=\"node[0-1\""]),
      (merged(slurm, ["TUTTI_RENDEZVOUS": "node0"]), ["TUTTI_RENDEZVOUS=\"node0\""]),
      (merged(torchrun, ["MASTER_ADDR": ""]), ["MASTER_ADDR is not set"]),
    ] as [([String: String], [String])])
  func namesWhatIsMissing(_ environment: [String: String], _ names: [String]) {
    let error = #expect(throws: FailureReport.self) { try LaunchIdentity.read(environment) }
    #expect(error?.code == .configuration && error?.advice.isEmpty == false)
    for name in names { #expect(error?.description.contains(name) == true, "\(error?.description ?? "")") }
    #expect(LaunchIdentity.isLaunched(environment) || environment["JOB_COMPLETION_INDEX"] != nil)
  }

  @Test(arguments: [
    ("node0", "node0"), ("node[0-1],x[08-10,12]", "node0"), ("x[08-10,12]", "x08"), ("rack[0-1]n[08-09]", "rack0n08"),
    ("a,b", "a"), ("n[7]", "n7"), ("n[3,5-6]-ib", "n3-ib"), ("", nil), ("n[", nil), ("n[]", nil), ("n]0", nil),
    ("n[a-b]", nil), (",n", nil), ("a b", nil),
  ])
  func findsTheFirstHostOfAList(_ list: String, _ expected: String?) { #expect(SlurmStep.firstHost(list) == expected) }

  @Test func stepsOfOneNodeMeetAtPortsOfTheirOwn() throws {
    let ports = try (0..<4).map { step in
      try LaunchIdentity.read(Self.merged(Self.slurm, ["SLURM_STEP_ID": "\(step)"])).place.description
    }
    #expect(Set(ports).count == 4)
  }

  @Test func aSecretOfTheUserGoesBeforeThatOfTheLauncher() throws {
    let identity = try LaunchIdentity.read(Self.merged(Self.slurm, Self.hydra, ["PMI_JOBID": "17.1"]))
    #expect(try identity.readSecret([:]) == nil)
    let own = try identity.readSecret(["TUTTI_SECRET": "x"])
    #expect(own?.job == "17.1" && own?.origin == "TUTTI_SECRET")
    #expect(try identity.readSecret(["TUTTI_SECRET": "x", "TUTTI_JOB": "mine"])?.job == "mine")
  }

  @Test func withoutPMIASecretMustBeGiven() throws {
    let identity = try LaunchIdentity.read(Self.slurm)
    let error = #expect(throws: FailureReport.self) { try identity.readSecret([:]) }
    #expect(error?.code == .authentication && error?.advice.contains("--mpi=pmi2") == true)
    #expect(error?.advice.contains("TUTTI_SECRET") == true)
  }
}
