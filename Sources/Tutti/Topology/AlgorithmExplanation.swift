import TuttiChoice
import TuttiSchedule
import TuttiSystem

/// What each algorithm is predicted to take for a call, and why one of them is what `auto` stands for.
///
/// As text, it is the table of `collbench explain`.
public struct AlgorithmExplanation: Sendable, CustomStringConvertible {
  /// An algorithm that was weighed.
  public struct Candidate: Sendable, Hashable {
    /// The name to ask for it by.
    public let name: String
    /// The predicted time in microseconds; nil where it cannot serve the call, or has no cost.
    public let microseconds: Double?
    /// What bounds it, such as `latency`, a level's link or `combining`; empty without a time.
    public let bound: String
  }

  /// The name of the algorithm that `auto` stands for.
  public let chosen: String
  /// Why that one.
  public let reason: String
  /// All that were weighed, in the order of the library's list.
  public let candidates: [Candidate]
  public let description: String

  init(_ explanation: Explanation) {
    chosen = explanation.chosen
    reason = explanation.reason
    candidates = explanation.candidates.map { candidate in
      Candidate(
        name: candidate.name, microseconds: candidate.prediction?.microseconds,
        bound: candidate.prediction?.bound.text ?? "")
    }
    description = explanation.text
  }
}

extension Communicator {
  /// The groups of this communicator's ranks, which algorithms follow: level 0 is all ranks, and each further level divides
  /// the one before, from the outermost to the innermost.
  public var grouping: Grouping { member.layout.grouping }

  /// The names of the levels inside of all ranks, such as `host`: one fewer than `grouping.levelCount`.
  public var levelNames: [String] { member.layout.levels.map(\.name) }

  /// Says which algorithm `auto` stands for in a call of this size, and why. Sends nothing: all ranks get the same answer.
  ///
  /// - Parameters:
  ///   - collective: What is to be computed.
  ///   - bytes: The size of the message, or of all ranks' blocks together; at least 0.
  /// - Throws: ``TuttiError`` with `.invalidArgument` for a negative size.
  public func explain(_ collective: Collective, bytes: Int) throws(TuttiError) -> AlgorithmExplanation {
    guard bytes >= 0 else {
      throw TuttiError(
        FailureReport(.invalidArgument, rank: rank, "a size of \(bytes) bytes", advice: "Sizes are at least 0"))
    }
    return AlgorithmExplanation(
      member.planner.policy.explain(collective, bytes: UInt64(bytes), hasUnequalBlocks: false))
  }
}
