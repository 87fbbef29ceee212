import TuttiSchedule

/// Why `auto` stands for an algorithm: every candidate, with what it is predicted or was measured to take.
package struct Explanation: Sendable {
  /// Why a candidate has no prediction.
  package enum Obstacle: String, Error, Sendable {
    case undefined = "not defined for these ranks"
    case byNameOnly = "gives no cost: runs by name only"
    case needsEqualBlocks = "serves blocks of equal sizes only"
    case otherTree = "folds by another tree than the job's results"
    case foldsAll = "every rank folds everything: up to 512 KiB only"
  }

  package struct Candidate: Sendable {
    package let name: String
    package let isDefined: Bool
    /// What it is predicted to take; nil where it cannot serve the call, or gives no cost.
    package let prediction: Prediction?
    /// What it took, or what lies between two sizes at which it was measured, in microseconds; nil where nothing was.
    package let measured: Double?
    package let obstacle: Obstacle?
    /// The one tree by which it promises to fold: `canonical`, or a hash; nil where it promises none.
    package let fold: String?

    /// What counts: the measured time, or else the predicted one.
    package var microseconds: Double? { measured ?? prediction?.microseconds }

    init(
      name: String, isDefined: Bool, prediction: Prediction? = nil, measured: Double? = nil, obstacle: Obstacle? = nil,
      fold: String? = nil
    ) {
      self.measured = measured
      self.fold = fold
      self.name = name
      self.isDefined = isDefined
      self.prediction = prediction
      self.obstacle = obstacle
    }
  }

  package let collective: Collective
  /// The size of the message, or of all blocks together.
  package let bytes: UInt64
  package let grouping: Grouping
  /// The names of the levels, from the outermost on: what is on either side of a link.
  package let levels: [String]
  /// In the order in which they were given.
  package let candidates: [Candidate]
  /// The tree by which the job's results fold, named as those of candidates are; nil where any will do.
  package let fold: String?
  /// What is known of the machines.
  package let profile: TuningProfile
  /// The name of the chosen one; empty where there are no candidates.
  package let chosen: String
  package let reason: String
}

extension Prediction.Bound {
  /// One or two words for people: `latency`, `host link`.
  package var text: String {
    switch self {
    case .latency: "latency"
    case .link(let level): "\(level) link"
    case .copying: "copying"
    case .combining: "combining"
    }
  }
}
