import TuttiAlgorithms
import TuttiSchedule

/// The choice for one collective: its candidates, whose programs have been read.
package struct CollectiveChoice: Sendable {
  struct Candidate: Sendable {
    enum State: Sendable {
      case undefined
      /// It gives no cost.
      case byNameOnly
      /// It folds by another tree than the job's, or promises none.
      case otherTree
      /// With its traffic by levels, unless the terms are those of one medium.
      case known(AlgorithmCost, Traffic?)
    }

    let name: String
    let state: State
    let needsEqualBlocks: Bool
    /// The one tree that it promises to fold by.
    let fold: FoldTree?

    init(_ name: String, _ state: State, needsEqualBlocks: Bool = false, fold: FoldTree? = nil) {
      self.name = name
      self.state = state
      self.needsEqualBlocks = needsEqualBlocks
      self.fold = fold
    }
  }

  let collective: Collective
  let grouping: Grouping
  let terms: ChoiceTerms
  let segmentBytes: Double
  let candidates: [Candidate]
  /// The tree by which the chosen one has to fold; nil where any will do.
  let tree: FoldTree?

  /// Two predictions as near as this are equal, and ``balance(_:bytes:)`` decides.
  private static let tolerance = 1.03
  /// The all-reduces in which every rank folds everything: beyond so many bytes that is more than the messages they save.
  private static let foldsAll: Set = ["one-shot", "recursive-doubling"]
  private static let foldsAllBytesMax: UInt64 = 512 << 10

  /// The name of the algorithm for a call of this size; none where there are no candidates.
  ///
  /// - Parameter bytes: The size of the message, or of all blocks together.
  package func best(bytes: UInt64, hasUnequalBlocks: Bool = false) -> String {
    if let yielding { return yielding }
    let weighed = candidates.compactMap { candidate -> Weighed? in
      guard case .success(let weighed) = weigh(candidate, bytes: bytes, hasUnequalBlocks) else { return nil }
      return weighed
    }
    return chosen(of: weighed, bytes: bytes).name
  }

  /// All candidates for a call of this size, and why one of them is chosen.
  ///
  /// - Parameter bytes: The size of the message, or of all blocks together.
  package func explain(bytes: UInt64, hasUnequalBlocks: Bool = false) -> Explanation {
    let weighed = candidates.map { ($0, weigh($0, bytes: bytes, hasUnequalBlocks)) }
    let known = weighed.compactMap { _, result in try? result.get() }
    let rule = yielding
    let chosen = rule ?? chosen(of: known, bytes: bytes).name
    return Explanation(
      collective: collective, bytes: bytes, grouping: grouping, levels: terms.levelNames,
      candidates: weighed.map { candidate, result in
        let fold = candidate.fold?.name(rankCount: grouping.rankCount)
        switch result {
        case .success(let weighed):
          return Explanation.Candidate(name: candidate.name, isDefined: true, prediction: weighed.prediction, fold: fold)
        case .failure(let obstacle):
          return Explanation.Candidate(
            name: candidate.name, isDefined: obstacle != .undefined, obstacle: obstacle, fold: fold)
        }
      },
      fold: tree?.name(rankCount: grouping.rankCount), chosen: chosen,
      reason: rule == nil
        ? reason(for: chosen, known, bytes: bytes) : "ranks outnumber processors, and each has to run as rarely as can be")
  }

  /// The barrier where ranks outnumber the processors of their one host: each has to run as rarely as can be, which no term
  /// of the table says.
  private var yielding: String? {
    guard collective == .barrier, case .oneMedium(.sharedMemory, _) = terms.model, grouping.rankCount > terms.processors
    else { return nil }
    return "direct"
  }

  // MARK: Weighing

  private struct Weighed {
    let name: String
    let cost: AlgorithmCost
    let prediction: Prediction
  }

  private func weigh(
    _ candidate: Candidate, bytes: UInt64, _ hasUnequalBlocks: Bool
  ) -> Result<Weighed, Explanation.Obstacle> {
    switch candidate.state {
    case .undefined: return .failure(.undefined)
    case .byNameOnly: return .failure(.byNameOnly)
    case .otherTree: return .failure(.otherTree)
    case .known(let cost, let traffic):
      if hasUnequalBlocks, candidate.needsEqualBlocks { return .failure(.needsEqualBlocks) }
      switch terms.model {
      case .oneMedium(let medium, let values):
        if collective == .allReduce, bytes > Self.foldsAllBytesMax, Self.foldsAll.contains(candidate.name) {
          return .failure(.foldsAll)
        }
        let parallel = medium.crossesHosts ? 1 : max(1, min(grouping.rankCount, terms.processors))
        let prediction = Prediction(
          cost, medium, values, bytes: Double(bytes), segmentBytes: segmentBytes, parallel: parallel)
        return .success(Weighed(name: candidate.name, cost: cost, prediction: prediction))
      case .levels(let levels):
        guard let traffic else { preconditionFailure("the programs of \(candidate.name) were not read") }
        let prediction = Prediction(traffic, terms, levels, bytes: Double(bytes), segmentBytes: segmentBytes)
        return .success(Weighed(name: candidate.name, cost: cost, prediction: prediction))
      }
    }
  }

  /// The candidate with the least balance among those within the tolerance of the least time; the last of equals: the direct
  /// ones, which need no rank in between.
  private func chosen(of weighed: [Weighed], bytes: UInt64) -> (name: String, balance: Double) {
    let least = weighed.map(\.prediction.microseconds).min() ?? 0
    var best: (name: String, balance: Double) = ("", .infinity)
    for candidate in weighed where candidate.prediction.microseconds <= least * Self.tolerance {
      let balance = balance(candidate, bytes: bytes).value
      if balance <= best.balance { best = (candidate.name, balance) }
    }
    return best
  }

  /// What decides between algorithms of equal time, in words for people; the least is chosen. For small messages, and where
  /// one copy serves many readers, the rounds; otherwise neither many rounds nor one rank that sends everything. By levels,
  /// that is all the work, of which most overlaps: what is predicted to fill gaps may not find them.
  private func balance(_ candidate: Weighed, bytes: UInt64) -> (value: Double, words: String) {
    let rounds = candidate.cost.levels.reduce(0) { $0 + Double($1.rounds) }
    if bytes < 64 << 10 { return (rounds, "the fewest rounds") }
    switch terms.model {
    case .levels: return (candidate.prediction.work, "the least work in all")
    case .oneMedium(.sharedMemory, _): return (rounds, "the fewest rounds")
    case .oneMedium:
      let volume = candidate.cost.levels.reduce(0) { $0 + $1.volume }
      return (rounds * rounds + volume * volume, "the best balance of rounds and bytes")
    }
  }

  private func reason(for name: String, _ weighed: [Weighed], bytes: UInt64) -> String {
    guard let least = weighed.min(by: { $0.prediction.microseconds < $1.prediction.microseconds }),
      let chosen = weighed.first(where: { $0.name == name })
    else { return "there is no candidate" }
    let near = weighed.filter { $0.prediction.microseconds <= least.prediction.microseconds * Self.tolerance }
    if near.count == 1 { return "the least time" }
    let words = balance(chosen, bytes: bytes).words
    let others = near.count == 2 ? "the other one" : "\(near.count - 1) others"
    return chosen.prediction.microseconds == least.prediction.microseconds
      ? "the least time, and with \(others) within 3% of it: \(words)"
      : "within 3% of the least time (\(least.name)), with \(words)"
  }
}
