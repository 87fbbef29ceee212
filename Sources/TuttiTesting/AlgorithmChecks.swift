// The tools of an author of algorithms: the proof, a run over real links, and a picture.

import Tutti
import TuttiAlgorithms
import TuttiSchedule
public import TuttiSystem

/// A random number generator that gives the same numbers for the same seed everywhere.
public typealias SeededGenerator = TuttiSystem.SeededGenerator

/// Shows where an algorithm breaks what its collective promises, in readable form.
public struct Counterexample: Error, CustomStringConvertible {
  /// The algorithm's name.
  public let algorithm: String
  /// The rank, the step, the chunk, what was expected and what was found, in a few lines.
  public let text: String

  public var description: String { "algorithm \(algorithm) is \(text)" }
}

/// How much was proven.
public struct ProofSummary: Sendable, Hashable {
  /// The number of schedules: one for each rank, for each rank count and root.
  public var schedules = 0
  /// The number of messages from one rank to another in all schedules.
  public var messages = 0
}

/// Proves that an algorithm does what its collective promises: the right result, the same bits on all ranks, messages that
/// match, no deadlock, and no use of memory before it is written or after it is overwritten.
///
/// ```swift
/// try prove(MyAllReduce(), rankCounts: 1...16)
/// ```
///
/// - Parameters:
///   - rankCounts: Those that the algorithm is not defined for are passed over, but it must be defined for one.
///   - roots: The roots for collectives that have one; those beyond the rank count are passed over. nil stands for the
///     first, second and last rank.
/// - Throws: ``Counterexample`` with the first counterexample found.
/// - Complexity: Linear in the steps of all ranks; about a second for 1 to 32 ranks.
/// - SeeAlso: The five properties in `docs/ALGORITHMS.md`.
@discardableResult
public func prove(
  _ algorithm: any Algorithm, rankCounts: some Sequence<Int> = 1...32, roots: [Int]? = nil
) throws(Counterexample) -> ProofSummary {
  let groupings = rankCounts.lazy.filter { $0 >= 1 }.map { Grouping(rankCount: $0) }
  return try prove(algorithm, groupings: groupings, roots: roots)
}

/// Proves an algorithm over ranks in groups: on hosts of different sizes, with numbers in any order.
///
/// ```swift
/// try prove(MyHierarchy(), groupings: [Grouping([[0, 0, 0, 1, 1]]), Grouping([[0, 1, 0, 1]])])
/// ```
///
/// - Parameters:
///   - groupings: Those that the algorithm is not defined for are passed over, but it must be defined for one.
///   - roots: As in ``prove(_:rankCounts:roots:)``.
/// - Throws: ``Counterexample`` with the first counterexample found.
@discardableResult
public func prove(
  _ algorithm: any Algorithm, groupings: some Sequence<Grouping>, roots: [Int]? = nil
) throws(Counterexample) -> ProofSummary {
  var summary = ProofSummary()
  for grouping in groupings where algorithm.isDefined(for: grouping) {
    let rankCount = grouping.rankCount
    let wanted = algorithm.collective.hasRoot ? roots ?? [0, 1, rankCount - 1] : [0]
    for root in Set(wanted).sorted() where root >= 0 && root < rankCount {
      do throws(ProofFailure) {
        let report = try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
          algorithm.schedule(for: grouping.position(of: $0, root: root))
        }
        summary.schedules += rankCount
        summary.messages += report.messages
      } catch { throw Counterexample(algorithm: algorithm.name, text: error.description) }
    }
  }
  // An algorithm that is defined nowhere would be proven without a step, and somebody would believe it.
  if summary.schedules == 0 {
    throw Counterexample(
      algorithm: algorithm.name, text: "not proven: it is not defined for any of these ranks and roots")
  }
  return summary
}

/// Runs an algorithm on random data, types, operations, roots and sizes, in place and not, and compares every result bit for
/// bit with its definition.
///
/// ```swift
/// try exercise(MyAllReduce(), over: [.inProcess, .sharedMemory, .tcp], seed: 1)
/// ```
///
/// - Parameters:
///   - algorithm: One of the library's or your own.
///   - rankCounts: Those that the algorithm is not defined for are passed over, but it must be defined for one. Each rank is
///     a thread.
///   - transports: The transports, each of which is tried with each rank count.
///   - runs: The number of calls for each rank count and transport.
///   - seed: The same seed makes the same calls.
///   - faults: How links misbehave, over the in-process transport.
/// - Throws: ``Counterexample`` before anything runs, when the proof fails. ``RankFailure`` with ``WrongResult``, which
///   names the call, when a result is wrong: then the library has a defect, or the algorithm is no pure function and gave
///   the proof another schedule than the run. ``RankFailure`` with `TuttiError` when a call fails.
public func exercise(
  _ algorithm: any Algorithm, rankCounts: some Sequence<Int> = 1...8, over transports: [TransportChoice] = [.inProcess],
  runs: Int = 20, seed: UInt64, faults: LinkFaults? = nil
) throws {
  var options = CommunicatorOptions()
  if AlgorithmRegistry.algorithm(algorithm.collective, named: algorithm.name) == nil { options.algorithms = [algorithm] }
  let rankCounts = Array(rankCounts)
  try prove(algorithm, rankCounts: rankCounts)
  for grouping in rankCounts.filter({ $0 >= 1 }).map({ Grouping(rankCount: $0) }) where algorithm.isDefined(for: grouping) {
    let rankCount = grouping.rankCount
    let servesUneven = !algorithm.schedule(for: grouping.position(of: 0)).equalBlocks
    for transport in transports {
      let faults = transport == .inProcess ? faults : nil
      try withRanks(rankCount, over: transport, options: options, faults: faults) { communicator in
        var generator = SeededGenerator(seed: seed &+ UInt64(rankCount))
        for run in 0..<runs {
          // Some ranks' memory is registered, and some ranks' is not.
          let registers = (run + communicator.rank) % 3 == 0
          try exerciseOnce(algorithm, servesUneven, communicator, registers, &generator)
        }
      }
    }
  }
}

private func exerciseOnce(
  _ algorithm: any Algorithm, _ servesUneven: Bool, _ communicator: Communicator, _ registers: Bool,
  _ generator: inout SeededGenerator
) throws {
  if algorithm.collective == .barrier { return try communicator.barrier(algorithm: AlgorithmName(algorithm.name)) }
  let exercise = Exercise(
    rankCount: communicator.rankCount, algorithm.collective, algorithm.name, servesUneven: servesUneven, using: &generator)
  let memory = try ExerciseMemory(
    exercise, rank: communicator.rank, misalignment: communicator.rank % 16,
    registeredWith: registers ? communicator : nil)
  try exercise.run(communicator, memory)
  if let text = memory.firstError() { throw WrongResult(call: exercise.description, text: text) }
}

/// A result that differs from the collective's definition.
public struct WrongResult: Error, CustomStringConvertible {
  /// The call: collective, algorithm, sizes, type, root and so on.
  public let call: String
  /// The rank, the place, what is there, and what should be there.
  public let text: String

  public var description: String { "\(call): \(text)" }
}

/// How a schedule is drawn.
public enum DrawingFormat: String, Sendable, CaseIterable {
  /// Text that lists the steps of each rank.
  case text
  /// A graph for Graphviz, with steps as nodes and messages as edges.
  case dot
  /// A picture of ranks over time, with messages as arrows.
  case svg
}

/// Draws the schedules of all ranks. They need not be proven: a broken one is drawn as far as it goes.
///
/// ```swift
/// try draw(MyAllReduce(), rankCount: 8, as: .svg).write(to: file, atomically: true, encoding: .utf8)
/// ```
///
/// - Parameters:
///   - rankCount: One that the algorithm is defined for.
///   - root: In `0..<rankCount`; for collectives with a root.
/// - Returns: A whole document of that format.
public func draw(_ algorithm: any Algorithm, rankCount: Int, root: Int = 0, as format: DrawingFormat) -> String {
  precondition(rankCount > 0, "\(rankCount) ranks: there must be at least one")
  return draw(algorithm, grouping: Grouping(rankCount: rankCount), root: root, as: format)
}

/// Draws the schedules of all ranks, which are in groups. They need not be proven.
public func draw(_ algorithm: any Algorithm, grouping: Grouping, root: Int = 0, as format: DrawingFormat) -> String {
  let rankCount = grouping.rankCount
  precondition(algorithm.isDefined(for: grouping), "\(algorithm.name) is not defined for \(rankCount) ranks in these groups")
  precondition((0..<rankCount).contains(root), "root \(root) is not one of \(rankCount) ranks")
  let schedules = (0..<rankCount).map { algorithm.schedule(for: grouping.position(of: $0, root: root)) }
  return switch format {
  case .text: Schedule.text(of: schedules, algorithm: algorithm.name)
  case .dot: Schedule.dot(of: schedules, algorithm: algorithm.name)
  case .svg: Schedule.svg(of: schedules, algorithm: algorithm.name)
  }
}
