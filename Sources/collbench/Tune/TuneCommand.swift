import ArgumentParser
import Glibc
import Tutti
import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTopology

/// `collbench tune` measures all algorithms on the running job, and writes what they took as a tuning profile.
struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Measures all algorithms on a running job, by which 'auto' then chooses.",
    discussion: """
      Says beforehand how long it will take. The profile goes to ~/.config/tutti/tuning.yaml, where jobs find it, or to --output, \
      for TUTTI_TUNING; what the file has of other jobs' shapes and of other collectives stays (docs/TUNING.md). Then it says where \
      'auto' chooses otherwise than without the profile.

      collbench tune --ranks 4
          all collectives, with four ranks of this machine
      collbench tune all-reduce --ranks 2 --sizes 8,4K,256K --output two.yaml
      mpirun -n 16 collbench tune
          the ranks of a job; rank 0 writes the file
      """)

  @Argument(help: ArgumentHelp("Which collectives to measure. (default: all)", valueName: "collective"))
  var collectives: [String] = []

  @OptionGroup var job: JobOptions

  @Option(help: "Bytes of the message or of all ranks' blocks, a list. K, M, G are powers of 1024.")
  var sizes = "8,512,4K,32K,256K,2M,16M"

  @Option(help: "How often each algorithm has its turn at a size; the best of the medians counts.")
  var rounds = 5

  @Option(help: "Write to this file instead of the default path, whole or not at all.")
  var output: String?

  func validate() throws { _ = try plan() }

  /// Checks what was typed.
  private func plan() throws -> (subjects: [Collective], sizes: [Int]) {
    let known = Collective.allCases.map(\.name)
    let subjects = try collectives.map { name in
      guard let collective = Collective(name: name) else {
        throw ValidationError(unknown("collective", name, known: known))
      }
      return collective
    }
    let sizes = try self.sizes.split(separator: ",", omittingEmptySubsequences: false).map { text in
      let bytes = try byteCount(String(text), of: "--sizes")
      guard bytes > 0, bytes % DataType.float32.size == 0 else {
        throw ValidationError("--sizes: \(text) is not a number of float32 elements, of 4 bytes each.")
      }
      return bytes
    }
    guard (1...1000).contains(rounds) else { throw ValidationError("--rounds \(rounds): must be from 1 to 1000.") }
    if let ranks = job.start.ranks, ranks < 2 {
      throw ValidationError("--ranks \(ranks): a rank alone has nothing to choose.")
    }
    let chosen = subjects.isEmpty ? Collective.allCases : Collective.allCases.filter(subjects.contains)
    return (chosen, Set(sizes).sorted())
  }

  func run() throws {
    let (collectives, sizes) = try plan()
    // Before ranks are started, which would say it one by one.
    if !job.start.launched, job.start.ranks != nil {
      do throws(CommandFailure) { _ = try TuningTarget(output, families: [.current()]) } catch {
        Terminal.error("collbench: \(error)")
        throw ExitCode.failure
      }
    }
    try job.run { communicator in
      guard communicator.rankCount > 1 else { throw CommandFailure("a rank alone has nothing to choose: start at least 2") }
      let target = communicator.rank == 0 ? try TuningTarget(output, families: communicator.processorFamilies) : nil
      let run = TuningRun(communicator, collectives, sizes, rounds: rounds, timeout: job.timeout)
      try run.checkMemory()
      let announcement = try run.announcement()
      if communicator.rank == 0 { Terminal.error(announcement) }
      let tables = try run.measure()
      guard let target else { return }
      let profile = try target.write(tables, rounds: rounds)
      Terminal.error("collbench: wrote \(target.path)")
      try Terminal.write(TuningGains(communicator, profile, tables, .file(target.path)).text)
    }
  }
}
