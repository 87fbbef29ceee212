import CTuttiLinux
import Tutti
import TuttiChoice
import TuttiSchedule

/// Measures all algorithms of some collectives on the running job, in turns. Every rank makes the same calls, and gets the
/// same times.
struct TuningRun {
  private let communicator: Communicator
  private let collectives: [Collective]
  private let sizes: [Int]
  private let rounds: Int
  private let timeout: Double

  /// How long an algorithm's turn is to take, in nanoseconds, and how many calls it has.
  private static let turnTime = 10_000_000.0
  private static let calls = 3...500
  /// The calls of a turn that only tells whether more are worth it.
  private static let fewCalls = 5
  /// An algorithm is given up when it takes ``hopeless`` times as long as the fastest. It has ``hopelessTurns`` turns
  /// first, because a single one may have come at a bad moment, and one turn less where it was hopeless at the size
  /// before.
  private static let (hopeless, hopelessTurns) = (3.0, 3)

  init(_ communicator: Communicator, _ collectives: [Collective], _ sizes: [Int], rounds: Int, timeout: Double) {
    self.communicator = communicator
    self.collectives = collectives
    self.sizes = sizes
    self.rounds = rounds
    self.timeout = timeout
  }

  private static let elements = Elements(type: .float32, operation: .sum)

  private func configuration(_ collective: Collective) -> RunConfiguration {
    RunConfiguration(
      subject: .collective(collective), transport: .auto, algorithms: .all,
      sizes: collective == .barrier ? [0] : sizes, elements: [Self.elements], root: 0, inPlace: false,
      registered: false, check: false, format: .table, timeout: timeout)
  }

  /// The algorithms that `auto` may take, of those that can run here. Others over groups run only where they are asked
  /// for by name.
  private func algorithms(_ configuration: RunConfiguration, _ collective: Collective) throws -> [String] {
    let weighed = Set(try communicator.explain(collective, bytes: 8).candidates.map(\.name))
    return configuration.algorithmRequests(communicator, Self.elements).compactMap { $0 }.filter(weighed.contains)
  }

  /// Refuses sizes for which there is no memory, on all ranks.
  func checkMemory() throws {
    let own = communicator.rank..<communicator.rank + 1
    for collective in collectives {
      if let obstacle = configuration(collective).memoryObstacle(ranks: own, rankCount: communicator.rankCount) {
        throw CommandFailure(obstacle)
      }
    }
    // No rank fills its memory for what another rank refuses.
    try communicator.barrier()
  }

  /// How long it will take, about: `measuring 9 algorithms ...: about 40 s`. Every rank calls this, because it times what
  /// `auto` takes, to know by how much predictions are wrong here.
  func announcement() throws -> String {
    let barrier = try time(.barrier, bytes: 0)
    var (seconds, count) = (0.0, 0)
    for collective in collectives {
      let configuration = configuration(collective)
      let names = Set(try algorithms(configuration, collective))
      count += names.count
      for bytes in configuration.sizes {
        let explanation = try communicator.explain(collective, bytes: bytes)
        let chosen = explanation.candidates.first { $0.name == explanation.chosen }?.microseconds ?? 1
        let slowness = try time(collective, bytes: bytes) / (chosen * 1000)
        let candidates = explanation.candidates.filter { names.contains($0.name) }
        let most = candidates.compactMap(\.microseconds).max() ?? chosen
        for candidate in candidates {
          let predicted = candidate.microseconds ?? most
          let time = predicted * 1000 * slowness + barrier
          let isHopeless = predicted > Self.hopeless * chosen
          let calls = isHopeless ? Self.fewCalls * Self.hopelessTurns : calls(time, beside: 0) * (rounds - 1) + Self.fewCalls
          seconds += Double(calls + 1) * time / 1e9
        }
      }
    }
    let text = seconds < 1 ? "a second" : "\(decimal(seconds, digits: 0)) s"
    return "collbench: measuring \(counted(count, "algorithm")) of \(counted(collectives.count, "collective")) with "
      + "\(counted(communicator.rankCount, "rank")) at \(counted(sizes.count, "size")) in \(counted(rounds, "round")): "
      + "about \(text)"
  }

  /// What `auto` takes, in nanoseconds.
  private func time(_ collective: Collective, bytes: Int) throws -> Double {
    let run = try collectiveRun(configuration(collective), bytes: bytes)
    try run.call()
    return try median(of: run, calls: Self.fewCalls)
  }

  private func collectiveRun(_ configuration: RunConfiguration, bytes: Int) throws -> CollectiveRun {
    let pattern = TestPattern(
      configuration.subject, Self.elements, rank: communicator.rank, rankCount: communicator.rankCount)
    return try CollectiveRun(communicator, configuration, Self.elements, pattern, bytes: bytes, algorithm: nil)
  }

  /// The calls of a turn.
  ///
  /// - Parameters:
  ///   - nanoseconds: What one takes.
  ///   - barrier: What the barrier before it takes.
  private func calls(_ nanoseconds: Double, beside barrier: Double) -> Int {
    let wanted = Self.turnTime / max(1, nanoseconds + barrier)
    return Int(min(max(wanted, Double(Self.calls.lowerBound)), Double(Self.calls.upperBound)))
  }

  /// Measures. All ranks get the same tables.
  func measure() throws -> [TuningTable] {
    var tables: [TuningTable] = []
    let barrier = try time(.barrier, bytes: 0)
    for collective in collectives {
      let configuration = configuration(collective)
      let names = try algorithms(configuration, collective)
      var rows: [TuningTable.Row] = []
      var slow: Set<String> = []
      for (index, bytes) in configuration.sizes.enumerated() {
        let place = "\(collective.name) \(ByteSize.text(bytes)) (\(index + 1)/\(configuration.sizes.count))"
        let row = try measure(configuration, names, bytes: bytes, slow, barrier: barrier, place)
        let least = row.microseconds.values.min() ?? 0
        slow = Set(names.filter { row.microseconds[$0] ?? 0 > least * Self.hopeless })
        // Small sizes of blocks round up to the same one.
        if let last = rows.last, last.bytes >= row.bytes { continue }
        rows.append(row)
      }
      tables.append(TuningTable(shape: communicator.jobShape, collective: collective, rows: rows))
    }
    if communicator.rank == 0 { Progress.clear() }
    return tables
  }

  /// - Parameters:
  ///   - slow: The algorithms that were hopeless at the size before.
  ///   - barrier: What a barrier takes, in nanoseconds.
  private func measure(
    _ configuration: RunConfiguration, _ names: [String], bytes: Int, _ slow: Set<String>, barrier: Double, _ place: String
  ) throws -> TuningTable.Row {
    var run = try collectiveRun(configuration, bytes: bytes)
    var best: [String: Double] = [:]
    for round in 0..<rounds {
      let least = best.values.min() ?? .infinity
      for offset in names.indices {
        // Each round begins with another one, so that none always follows the same.
        let name = names[(offset + round) % names.count]
        let known = best[name] ?? .infinity
        let isHopeless = round > 0 && known > least * Self.hopeless
        if isHopeless, round >= Self.hopelessTurns - (slow.contains(name) ? 1 : 0) { continue }
        show("\(place) \(name), round \(round + 1)/\(rounds)")
        run.algorithm = AlgorithmName(name)
        // The first call opens links and makes the plan.
        if round == 0 { try run.call() }
        let calls = round == 0 || isHopeless ? Self.fewCalls : calls(known, beside: barrier)
        best[name] = min(known, try median(of: run, calls: calls))
      }
    }
    // Three digits after the point are more than a clock is worth; 0 is no time.
    let times = best.mapValues { max(1, $0.rounded()) / 1000 }
    return TuningTable.Row(bytes: UInt64(run.bytes), microseconds: times)
  }

  private func show(_ text: String) {
    if communicator.rank == 0 { Progress.show(text) }
  }

  /// The median over calls of the slowest rank's time, in nanoseconds: the same on all ranks.
  private func median(of run: CollectiveRun, calls: Int) throws -> Double {
    let times = try RunBuffer(bytes: calls * 8)
    let samples = times.pointer.bindMemory(to: Double.self, capacity: calls)
    // Their memory is used through plain pointers, so they must live until here.
    defer { withExtendedLifetime((run, times)) {} }
    for call in 0..<calls {
      try communicator.barrier()
      let start = tutti_now_ns()
      try run.call()
      samples[call] = Double(tutti_now_ns() - start)
    }
    try communicator.allReduce(RawMemory(times.pointer, count: calls, type: .float64), .max)
    return UnsafeBufferPointer(start: samples, count: calls).sorted()[calls / 2]
  }
}
