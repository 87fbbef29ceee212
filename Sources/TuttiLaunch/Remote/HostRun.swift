import Glibc
import TuttiSystem

/// The state of a job while its agents run: who is connected, which ranks have ended, what they print, and where they meet.
///
/// One thread's, which calls ``step(_:waitingFor:)`` until the job is over, and then ``end(_:)``.
final class HostRun {
  /// So many remote shells connect at a time; each is a process that computes keys.
  private static let connectingMax = 32
  private static let firstProgress = 3 * Clock.second
  /// When ranks that others wait for are named.
  private static let joinProgress = 10 * Clock.second
  /// How long agents may take to end, before their remote shells are killed.
  private static let endLimit = 5 * Clock.second

  private let job: JobDescription
  private let access: HostAccess
  private let pump: OutputPump
  private let environment: [String: String]
  private let places: [(host: LaunchHost, ranks: [RankDescription])]
  private var hosts: [HostConnection] = []
  private var judge: JobJudge
  private var space: PMISpace
  private var prefixers: [[LinePrefixer]]
  private var told: Set<StandardStream> = []
  private var isStarted = false
  private var isBroken = false
  private var barrierSince: UInt64?
  private let began = monotonicNanoseconds()
  private var nextHeartbeat: UInt64 = 0
  private var nextProgress: UInt64

  init(_ job: JobDescription, _ access: HostAccess, _ pump: OutputPump) {
    (self.job, self.access, self.pump) = (job, access, pump)
    var environment = currentEnvironment()
    // A remote shell has no business with these, and may be slow to forget them.
    for name in JobIdentity.variables { environment[name] = nil }
    self.environment = environment
    places = job.places
    judge = JobJudge(job)
    space = PMISpace(rankCount: job.identity.rankCount)
    prefixers = (0..<job.identity.rankCount).map { [LinePrefixer(rank: $0), LinePrefixer(rank: $0)] }
    nextProgress = began + Self.firstProgress
  }

  /// Does what there is to do, after a wait of 100 ms at most. True when the job is over.
  func step(_ report: (String) -> Void, waitingFor others: [Int32]) -> Bool {
    connect(report)
    if isBroken { return true }
    if !isStarted, hosts.count == places.count, hosts.allSatisfy({ $0.state == .ready }) { start() }
    let readsOutput = !pump.isFull
    var entries = hosts.flatMap { $0.entries(readsOutput: readsOutput) }
    entries += others.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    poll(&entries, nfds_t(entries.count), readsOutput ? 100 : 5)
    for index in hosts.indices {
      for event in hosts[index].events(readsOutput: readsOutput) { take(event, from: index, report) }
    }
    beat()
    tellProgress(report)
    tellOfLostOutput(report)
    return isBroken || isStarted && judge.isOver(report)
  }

  /// Ends the job because of a signal, or, with nil, because the program asked for it.
  func stop(_ signal: Int32?) { judge.stop(signal) }

  /// Stops this process with all ranks, as Ctrl-Z asks for, and goes on with them.
  func pause() {
    for host in hosts where host.state == .running {
      host.send(.pause)
      _ = host.events(readsOutput: false)
    }
    ForegroundSignals.stopThisProcess()
    for host in hosts where host.state == .running {
      host.send(.resume)
      _ = host.events(readsOutput: false)
    }
  }

  /// Ends all agents with their ranks, and returns when they have ended and all output is written.
  ///
  /// - Parameter isUrgent: Whether the user does not want to wait for a reader of the output.
  func end(_ isUrgent: () -> Bool) -> JobOutcome {
    for host in hosts { host.finish() }
    let deadline = monotonicNanoseconds() + Self.endLimit
    for host in hosts where !Clock.wait(until: deadline, for: { host.hasEnded }) { host.kill() }
    for host in hosts { host.kill() }
    var outcome = judge.finish()
    if outcome.stopSignal == nil && !outcome.wasStopped {
      for rank in prefixers.indices where access.prefixesOutput {
        pump.add(prefixers[rank][0].finish(), to: .output)
        pump.add(prefixers[rank][1].finish(), to: .error)
      }
      pump.drain(unless: isUrgent)
      if let failure = pump.failure(.output) ?? pump.failure(.error) { outcome.lostOutput = outcome.lostOutput ?? failure }
    }
    return outcome
  }

  // MARK: Hosts

  private func connect(_ report: (String) -> Void) {
    while hosts.count < places.count, hosts.count(where: { $0.state == .connecting }) < Self.connectingMax, !isBroken {
      let host = places[hosts.count].host
      do throws(LaunchError) {
        hosts.append(try HostConnection(host, access, environment: environment))
      } catch {
        report("host \(host.name): \(error)")
        lose(host)
      }
    }
    if !isStarted, monotonicNanoseconds() > began + JobJudge.nanoseconds(access.connectLimit) {
      for index in hosts.indices where hosts[index].state == .connecting {
        take(hosts[index].giveUp(after: access.connectLimit), from: index, report)
      }
    }
  }

  /// Ends the job before it has begun.
  private func lose(_ host: LaunchHost) {
    isBroken = true
    judge.lose(host.name)
  }

  private func start() {
    isStarted = true
    let folder = currentFolder() ?? "/"
    let identity = job.identity
    // Settings of the library are the job's, wherever its ranks are.
    let settings = environment.filter { $0.key.hasPrefix("TUTTI_") && $0.key != Lifeline.variable }
    for (connection, place) in zip(hosts, places) {
      let ranks = place.ranks.map {
        AgentRank(
          rank: $0.rank, program: $0.program, arguments: $0.arguments, environment: $0.environment, output: $0.output,
          errors: $0.errors)
      }
      connection.send(
        .job(
          AgentJob(
            folder: folder, name: identity.name, rankCount: identity.rankCount, secret: identity.secret,
            environment: settings, ranks: ranks)))
    }
  }

  private func beat() {
    guard monotonicNanoseconds() >= nextHeartbeat else { return }
    nextHeartbeat = monotonicNanoseconds() + AgentProtocol.heartbeat
    for host in hosts where host.state == .ready || host.state == .running { host.send(.alive) }
  }

  private func take(_ event: HostConnection.Event, from index: Int, _ report: (String) -> Void) {
    let host = hosts[index].host
    switch event {
    case .report(let news): take(news, from: index, report)
    case .text(let text): report("host \(host.name): \(text)")
    case .failure(let why):
      if judge.outcome.failedHosts.contains(host.name) { return }
      report("host \(host.name) \(why)")
      guard isStarted else { return lose(host) }
      judge.lose(host.name)
      for rank in places[index].ranks where judge.isRunning(rank.rank) {
        judge.note(.unknown, of: rank.rank, process: nil, report)
      }
    }
  }

  private func take(_ news: AgentReport, from index: Int, _ report: (String) -> Void) {
    let host = hosts[index].host
    switch news {
    case .alive: break
    case .notice(let text): report("host \(host.name): \(text)")
    case .refused(let why):
      report("host \(host.name): \(why)")
      lose(host)
    case .put(let key, let value): space.put(value, for: key)
    case .barrierIn(let rank):
      barrierSince = barrierSince ?? monotonicNanoseconds()
      guard let values = space.enter(rank) else { return }
      barrierSince = nil
      for host in hosts { host.send(.barrierOut(values)) }
    case .output(let rank, let stream, let bytes):
      guard let stream = StandardStream(rawValue: Int32(stream)), prefixers.indices.contains(rank) else { return }
      let place = stream == .output ? 0 : 1
      pump.add(access.prefixesOutput ? prefixers[rank][place].add(bytes) : bytes, to: stream)
    case .ended(let rank, let process, let end):
      guard places[index].ranks.contains(where: { $0.rank == rank }), judge.isRunning(rank) else { return }
      judge.note(end, of: rank, process: process, on: " on \(host.name)", report)
    }
  }

  // MARK: What the user is told

  private func tellProgress(_ report: (String) -> Void) {
    let now = monotonicNanoseconds()
    if let since = barrierSince, now > since + Self.joinProgress {
      barrierSince = nil
      let missing = space.missing
      let names = places.filter { place in place.ranks.contains { missing.contains($0.rank) } }.map(\.host.name)
      report("\(rankListText(missing)) on \(Self.list(names)) did not come to the meeting of the ranks so far")
    }
    guard !isStarted, now > nextProgress else { return }
    // The interval doubles each time.
    nextProgress = began + 2 * (now - began)
    let ready = hosts.count { $0.state == .ready }
    let slow = places.indices.filter { !hosts.indices.contains($0) || hosts[$0].state == .connecting }
    let (seconds, names) = ((now - began) / Clock.second, Self.list(slow.map { places[$0].host.name }))
    report("\(ready) of \(places.count) hosts have answered; for \(seconds) s waiting for \(names)")
  }

  /// Tells agents, and the user once, that nobody takes what ranks print.
  private func tellOfLostOutput(_ report: (String) -> Void) {
    for stream in [StandardStream.output, .error] {
      guard let failure = pump.failure(stream), told.insert(stream).inserted else { continue }
      judge.loseOutput(failure)
      if !failure.readerHasLeft {
        report("standard \(stream == .output ? "output" : "error"): \(failure). Output of ranks is missing there")
      }
      for host in hosts { host.send(.readerLeft(UInt8(stream.rawValue))) }
    }
  }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(8).joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }
}
