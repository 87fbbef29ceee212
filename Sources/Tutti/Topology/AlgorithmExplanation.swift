import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTopology

/// What each algorithm is predicted, or was measured, to take for a call, and why one of them is what `auto` stands for.
///
/// As text, it is the table of `collbench explain`.
public struct AlgorithmExplanation: Sendable, CustomStringConvertible {
  /// An algorithm that was weighed.
  public struct Candidate: Sendable, Hashable {
    /// The name to ask for it by.
    public let name: String
    /// The time in microseconds; nil where it cannot serve the call, or has no cost.
    public let microseconds: Double?
    /// Whether the time comes from measured ones; otherwise it is predicted.
    public let isMeasured: Bool
    /// What bounds it, such as `latency`, a level's link or `combining`; empty without a prediction.
    public let bound: String
  }

  /// The name of the algorithm that `auto` stands for.
  public let chosen: String
  /// Why that one.
  public let reason: String
  /// All that were weighed, in the order of the library's list.
  public let candidates: [Candidate]
  /// What is known of the machines: the name of the tuning profile, and what was measured.
  public let tuning: String
  public let description: String

  init(_ explanation: Explanation) {
    chosen = explanation.chosen
    reason = explanation.reason
    candidates = explanation.candidates.map { candidate in
      Candidate(
        name: candidate.name, microseconds: candidate.microseconds, isMeasured: candidate.measured != nil,
        bound: candidate.prediction?.bound.text ?? "")
    }
    tuning = explanation.profile.summary
    description = explanation.text
  }
}

/// The tuning profile of a communicator.
public struct TuningInfo: Sendable, Hashable {
  /// The name that it gives itself.
  public let name: String
  /// 32 hexadecimal digits, equal for profiles of equal content.
  public let hash: String
  /// Where it is from: `built in`, `options`, or the file on rank 0's host.
  public let source: String
  /// What was measured, and on what; nil where nothing was.
  public let measured: String?

  package init(_ tuning: Tuning) {
    name = tuning.profile.name
    hash = tuning.profile.hash
    source = tuning.source.text
    measured = tuning.profile.measured
  }
}

extension Communicator {
  /// The groups of this communicator's ranks, which algorithms follow: level 0 is all ranks, and each further level divides
  /// the one before, from the outermost to the innermost.
  public var grouping: Grouping { member.layout.grouping }

  /// The names of the levels inside of all ranks, such as `host`: one fewer than `grouping.levelCount`.
  public var levelNames: [String] { member.layout.levels.map(\.name) }

  /// The tuning profile by which `auto` chooses: equal on all ranks. See ``CommunicatorOptions/tuning``.
  public var tuning: TuningInfo { TuningInfo(member.planner.policy.tuning) }

  /// The families of all ranks' processors.
  package var processorFamilies: Set<ProcessorFamily> { member.planner.policy.tuning.families }

  /// The shape of these ranks, for which times measured on them hold.
  package var jobShape: JobShape { member.planner.policy.shape }

  /// The algorithm that `auto` would stand for with another profile, where the order of combines makes a difference.
  package func algorithm(_ collective: Collective, bytes: Int, tuning: Tuning) -> String {
    member.planner.policy.algorithm(collective, bytes: UInt64(max(0, bytes)), tuning: tuning)
  }

  /// Says which algorithm `auto` stands for in a call of this size, and why. Sends nothing: all ranks get the same answer.
  ///
  /// - Parameters:
  ///   - collective: The collective of the call.
  ///   - bytes: The size of the message, or of all ranks' blocks together; at least 0.
  /// - Throws: ``TuttiError`` with `.invalidArgument` for a negative size.
  public func explain(_ collective: Collective, bytes: Int) throws(TuttiError) -> AlgorithmExplanation {
    guard bytes >= 0 else {
      throw TuttiError(
        FailureReport(.invalidArgument, rank: rank, "there is no message of \(bytes) bytes", advice: "Give 0 or more"))
    }
    return AlgorithmExplanation(
      member.planner.policy.explain(collective, bytes: UInt64(bytes), hasUnequalBlocks: false))
  }
}
