import TuttiTopology

/// What rounds, messages and bytes cost that cross one level of the groups, in microseconds.
///
/// A message crosses level l when its two ranks are in one group at level l and in different ones at level l + 1: level 0 is
/// the outermost, the last one is from rank to rank inside the innermost groups. These are the levels of `AlgorithmCost`.
package struct LevelTerms: Hashable, Sendable {
  /// What is on either side of a link at this level: `host`, `rank`.
  package var name: String
  /// A round: one message after another, from one rank's engine to the other's.
  package var round: Double
  /// What a message keeps the busiest rank's processor busy for.
  package var message: Double
  /// What a message costs all ranks of the host together.
  package var sharedMessage: Double
  /// A byte of the busiest rank, in each direction, on the links that it has for itself.
  package var byte: Double
  /// A byte that enters or leaves a group of the next level, in each direction, on the links that its ranks share; 0 where
  /// they share none.
  package var exitByte: Double
  /// A byte of any rank of the host, on what all of them share: processors or memory.
  package var sharedByte: Double
  /// A byte that a rank copies with a processor of its own; 0 where an interface does that.
  package var copyByte: Double
  /// A byte of a segment that has to arrive before the next rank can begin.
  package var firstByte: Double
}

/// What the choice knows of costs: by level, or, for a job with one level and no description, of one medium.
package struct ChoiceTerms: Hashable, Sendable {
  package enum Model: Hashable, Sendable {
    /// Everything adds up, as the table was fitted.
    case oneMedium(Medium, MediumTerms)
    /// By level, from level 0 on: as many as the grouping has.
    case levels([LevelTerms])
  }

  package let model: Model
  /// How many ranks run at the same time on the host with room for the fewest.
  package let processors: Int
  /// The level whose groups are hosts: 0 where all ranks are on one, and the number of levels where each has its own.
  package let hostLevel: Int
  /// What it takes one rank to combine a byte of data with another one: a core reads two operands from memory and writes
  /// one result at some 10 GB/s.
  package let combineByte = 1e-4

  package init(model: Model, processors: Int, hostLevel: Int) {
    self.model = model
    self.processors = processors
    self.hostLevel = hostLevel
  }

  /// The number of levels that it knows of.
  package var levelCount: Int {
    switch model {
    case .oneMedium: 1
    case .levels(let levels): levels.count
    }
  }

  /// The names of the levels, from level 0 on.
  package var levelNames: [String] {
    switch model {
    case .oneMedium(let medium, _): [medium.rawValue]
    case .levels(let levels): levels.map(\.name)
    }
  }
}
