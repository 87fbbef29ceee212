import TuttiAlgorithms
import TuttiSchedule

/// Which algorithm `auto` stands for, and why: a pure function of the ranks' groups, of what messages and bytes cost or were
/// measured to take, and of the call, and so the same on all ranks.
package struct AlgorithmChoice: Sendable {
  package let grouping: Grouping
  package let terms: ChoiceTerms
  /// The longest segment in which data travels.
  package let segmentBytesMax: Int
  private var candidates: [any Algorithm]
  /// The tree by which candidates have to fold; nil where any will do.
  private var tree: FoldTree?
  /// What was measured on ranks of a shape; nil for nothing.
  private var measured: (tuning: Tuning, shape: JobShape)?
  /// Algorithms that take part only where a time of theirs was measured.
  private var measuredOnly: [any Algorithm] = []
  /// Which ranks' programs are read; nil where the terms of one medium make that needless.
  private let representatives: Representatives?

  /// - Parameters:
  ///   - terms: For as many levels as the grouping has; those of one medium serve any grouping.
  ///   - candidates: Algorithms of any collectives. Of those that are equal in everything, the last is chosen.
  package init(grouping: Grouping, terms: ChoiceTerms, candidates: [any Algorithm], segmentBytesMax: Int = 256 << 10) {
    self.grouping = grouping
    self.terms = terms
    self.candidates = candidates
    self.segmentBytesMax = segmentBytesMax
    switch terms.model {
    case .oneMedium: representatives = nil
    case .levels(let levels):
      precondition(
        levels.count == grouping.levelCount, "terms of \(levels.count) levels for \(grouping.levelCount) levels of groups")
      representatives = Representatives(grouping)
    }
  }

  /// The choice among algorithms that fold by one tree, where anything is combined.
  ///
  /// - Parameters:
  ///   - tree: That of a job's ``ResultBits``; nil for any.
  ///   - candidates: Nil for those of this choice.
  package func folding(by tree: FoldTree?, among candidates: [any Algorithm]? = nil) -> AlgorithmChoice {
    var choice = self
    choice.tree = tree
    if let candidates { choice.candidates = candidates }
    return choice
  }

  /// The choice that takes what was measured, where something was, before what is predicted.
  ///
  /// - Parameters:
  ///   - shape: The shape of these ranks.
  ///   - own: Algorithms of users. They take part where a time of theirs was measured.
  package func tuned(by tuning: Tuning, shape: JobShape, own: [any Algorithm] = []) -> AlgorithmChoice {
    var choice = self
    choice.measured = (tuning, shape)
    choice.measuredOnly = own
    return choice
  }

  /// Reads the candidates for one collective. The result is worth keeping: it chooses for all sizes.
  ///
  /// - Complexity: The programs of some 20 to 60 ranks for each candidate.
  package func choice(for collective: Collective) -> CollectiveChoice {
    let leaves = collective.combines ? (0..<grouping.rankCount).map(FoldTree.rank) : []
    let table = measured.flatMap { $0.tuning.table($0.shape, collective) }
    let own = measuredOnly.filter { algorithm in table?.knows(algorithm.name) ?? false }
    let all = candidates.map { ($0, isOwn: false) } + own.map { ($0, isOwn: true) }
    let read = all.filter { $0.0.collective == collective }.map { algorithm, isOwn in
      candidate(algorithm, isOwn: isOwn, leaves, isMeasured: table?.knows(algorithm.name) ?? false)
    }
    return CollectiveChoice(
      collective: collective, grouping: grouping, terms: terms, segmentBytes: Double(segmentBytesMax), candidates: read,
      tree: collective.combines ? tree : nil, profile: measured?.tuning.profile ?? .generic, table: table)
  }

  /// Reads what decides about one candidate.
  ///
  /// - Parameters:
  ///   - leaves: What ranks contribute, where anything is combined.
  ///   - isMeasured: Whether there is a time of it for some size.
  private func candidate(
    _ algorithm: any Algorithm, isOwn: Bool, _ leaves: [FoldTree], isMeasured: Bool
  ) -> CollectiveChoice.Candidate {
    let collective = algorithm.collective
    guard algorithm.isDefined(for: grouping) else { return .init(algorithm.name, .undefined) }
    let fold = collective.combines ? algorithm.foldTree(of: leaves, in: grouping) : nil
    let cost = isOwn || !algorithm.isWeighed(for: grouping) ? nil : algorithm.cost(for: grouping)
    if cost == nil, !isMeasured { return .init(algorithm.name, .byNameOnly, fold: fold) }
    if collective.combines, let tree, fold != tree { return .init(algorithm.name, .otherTree, fold: fold) }
    let needsEqualBlocks = collective.hasBlocks && algorithm.schedule(for: grouping.position(of: 0)).equalBlocks
    guard let cost else { return .init(algorithm.name, .byNameOnly, needsEqualBlocks: needsEqualBlocks, fold: fold) }
    let traffic = representatives.map {
      Traffic(algorithm, cost, grouping, $0, hostLevel: terms.hostLevel)
    }
    return .init(algorithm.name, .known(cost, traffic), needsEqualBlocks: needsEqualBlocks, fold: fold)
  }

  /// The name of the algorithm for a call of this size.
  ///
  /// - Parameter bytes: The size of the message, or of all blocks together.
  package func best(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool = false) -> String {
    choice(for: collective).best(bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
  }

  /// All candidates for a call of this size, and why one of them is chosen.
  ///
  /// - Parameter bytes: The size of the message, or of all blocks together.
  package func explain(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool = false) -> Explanation {
    choice(for: collective).explain(bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
  }
}
