import TuttiAlgorithms
import TuttiSchedule

/// The choice for one collective: its candidates, whose programs have been read.
package struct CollectiveChoice: Sendable {
  struct Candidate: Sendable {
    enum State: Sendable {
      case undefined
      /// It gives no cost, so that only what was measured tells its time.
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
  /// What is known of the machines.
  let profile: TuningProfile
  /// What was measured of this collective on these ranks; nil where nothing was.
  let table: TuningTable?

  /// Two predictions as near as this are equal, and ``balance(_:bytes:)`` decides.
  private static let tolerance = 1.03
  /// The all-reduces in which every rank folds everything: beyond ``foldsAllBytesMax`` that costs more than the messages
  /// that it saves.
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
          return Explanation.Candidate(
            name: candidate.name, isDefined: true, prediction: weighed.prediction, measured: weighed.measured, fold: fold)
        case .failure(let obstacle):
          return Explanation.Candidate(
            name: candidate.name, isDefined: obstacle != .undefined, obstacle: obstacle, fold: fold)
        }
      },
      fold: tree?.name(rankCount: grouping.rankCount), profile: profile, chosen: chosen,
      reason: rule == nil
        ? reason(for: chosen, known, bytes: bytes) : "ranks outnumber processors, and each has to run as rarely as can be")
  }

  /// The barrier where ranks outnumber the processors of their one host, and nothing was measured: each has to run as rarely
  /// as can be, which no term says. Both have as many messages as the ranks need at least, and in the direct one all but one
  /// rank wait once. But its rank 0 has a link to every other, which from some number on costs more than it saves.
  private var yielding: String? {
    guard collective == .barrier, case .oneMedium(.sharedMemory, _) = terms.model, grouping.rankCount > terms.processors,
      table == nil
    else { return nil }
    return grouping.rankCount <= Self.directBarrierRanksMax ? "direct" : "binomial"
  }

  /// On 2 processors, direct and binomial: 16 and 30 ms at 256 ranks, 53 and 76 at 512, where the first one, which opens the
  /// links, already takes longer; at 2,048 that takes minutes directly.
  private static let directBarrierRanksMax = 256

  // MARK: Weighing

  private struct Weighed {
    let name: String
    /// What is predicted, and from what; nil for an algorithm that gives no cost.
    var known: (cost: AlgorithmCost, prediction: Prediction)?
    /// What was measured, in microseconds; nil where it was not.
    let measured: Double?

    var prediction: Prediction? { known?.prediction }
  }

  private func weigh(
    _ candidate: Candidate, bytes: UInt64, _ hasUnequalBlocks: Bool
  ) -> Result<Weighed, Explanation.Obstacle> {
    // Where each rank knows only its own part of the sizes, nobody knows the sum, and no row of the table applies.
    let isUnknown = hasUnequalBlocks && bytes == 0
    let measured = isUnknown ? nil : table?.microseconds(candidate.name, bytes: bytes)
    switch candidate.state {
    case .undefined: return .failure(.undefined)
    case .otherTree: return .failure(.otherTree)
    case .byNameOnly, .known: if hasUnequalBlocks, candidate.needsEqualBlocks { return .failure(.needsEqualBlocks) }
    }
    switch candidate.state {
    case .undefined, .otherTree, .byNameOnly:
      guard let measured else { return .failure(.byNameOnly) }
      return .success(Weighed(name: candidate.name, measured: measured))
    case .known(let cost, let traffic):
      switch terms.model {
      case .oneMedium(let medium, let values):
        if measured == nil, collective == .allReduce, bytes > Self.foldsAllBytesMax, Self.foldsAll.contains(candidate.name) {
          return .failure(.foldsAll)
        }
        let parallel = medium.crossesHosts ? 1 : max(1, min(grouping.rankCount, terms.processors))
        let prediction = Prediction(
          cost, medium, values, bytes: Double(bytes), segmentBytes: segmentBytes, parallel: parallel)
        return .success(Weighed(name: candidate.name, known: (cost, prediction), measured: measured))
      case .levels(let levels):
        guard let traffic else { preconditionFailure("the programs of \(candidate.name) were not read") }
        let prediction = Prediction(traffic, terms, levels, bytes: Double(bytes), segmentBytes: segmentBytes)
        return .success(Weighed(name: candidate.name, known: (cost, prediction), measured: measured))
      }
    }
  }

  /// The candidate with the least measured time where any was measured. Otherwise the one with the least balance among those
  /// within the tolerance of the least predicted time. The last of equals: the direct ones, which need no rank in between.
  private func chosen(of weighed: [Weighed], bytes: UInt64) -> (name: String, balance: Double) {
    var best: (name: String, balance: Double) = ("", .infinity)
    for candidate in weighed {
      if let measured = candidate.measured, measured <= best.balance { best = (candidate.name, measured) }
    }
    if !best.name.isEmpty { return best }
    let least = weighed.compactMap(\.prediction?.microseconds).min() ?? 0
    for candidate in weighed {
      guard let known = candidate.known, known.prediction.microseconds <= least * Self.tolerance else { continue }
      let balance = balance(known.cost, known.prediction, bytes: bytes).value
      if balance <= best.balance { best = (candidate.name, balance) }
    }
    return best
  }

  /// What decides between algorithms of equal time, in words for people; the least is chosen. For small messages, and
  /// where one copy serves many readers, the rounds; otherwise neither many rounds nor one rank that sends everything.
  /// With terms by level it is the work in all, because work that is predicted to overlap may not.
  private func balance(
    _ cost: AlgorithmCost, _ prediction: Prediction, bytes: UInt64
  ) -> (value: Double, words: String) {
    let rounds = cost.levels.reduce(0) { $0 + Double($1.rounds) }
    if bytes < 64 << 10 { return (rounds, "the fewest rounds") }
    switch terms.model {
    case .levels: return (prediction.work, "the least work in all")
    case .oneMedium(.sharedMemory, _): return (rounds, "the fewest rounds")
    case .oneMedium:
      let volume = cost.levels.reduce(0) { $0 + $1.volume }
      return (rounds * rounds + volume * volume, "the best balance of rounds and bytes")
    }
  }

  private func reason(for name: String, _ weighed: [Weighed], bytes: UInt64) -> String {
    if weighed.contains(where: { $0.measured != nil }) { return "the least measured time" }
    let predicted = weighed.compactMap { candidate in candidate.known.map { (candidate.name, $0.cost, $0.prediction) } }
    guard let least = predicted.min(by: { $0.2.microseconds < $1.2.microseconds }),
      let chosen = predicted.first(where: { $0.0 == name })
    else { return "there is no candidate" }
    let near = predicted.count { $0.2.microseconds <= least.2.microseconds * Self.tolerance }
    if near == 1 { return "the least time" }
    let words = balance(chosen.1, chosen.2, bytes: bytes).words
    let others = near == 2 ? "the other one" : "\(near - 1) others"
    return chosen.2.microseconds == least.2.microseconds
      ? "the least time, and with \(others) within 3% of it: \(words)"
      : "within 3% of the least time (\(least.0)), with \(words)"
  }
}
