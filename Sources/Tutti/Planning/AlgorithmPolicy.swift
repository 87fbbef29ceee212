import TuttiAlgorithms
import TuttiChoice
import TuttiSchedule
import TuttiTopology

/// Says which algorithm `auto` stands for, and in which segments data travels: by pure functions of what all ranks know, so
/// that all choose alike.
///
/// The algorithm is the one that `TuttiChoice` predicts, or a tuning profile has measured, to be the fastest of those by
/// which results may be folded.
struct AlgorithmPolicy {
  /// All ranks, in the groups that algorithms are told of.
  let grouping: Grouping
  let medium: Medium
  /// How many ranks can run at the same time on the host with room for the fewest: from what all ranks know of each other.
  let processors: Int
  /// The largest segment every link of the communicator carries.
  let segmentBytesMax: Int
  let catalog: AlgorithmCatalog
  /// What is known of the machines.
  let tuning: Tuning
  private let choices: ChoiceCache
  /// The choices for combines whose order makes a difference: among algorithms that fold as ``AlgorithmCatalog/bits`` asks.
  private let orderedChoices: ChoiceCache

  /// No segment is longer, whatever links carry.
  static let segmentBytesMax = 256 << 10

  private var rankCount: Int { grouping.rankCount }
  /// What measured times of these ranks hold for.
  var shape: JobShape { JobShape(grouping, medium: medium, processors: processors) }

  /// - Parameters:
  ///   - medium: The slowest that carries messages of the communicator.
  ///   - terms: What rounds, messages and bytes cost at each level of the groups; nil where there is one level, of the
  ///     medium.
  ///   - tuning: What the ranks agreed on when they joined.
  init(
    grouping: Grouping, medium: Medium, processors: Int, segmentBytesMax: Int, catalog: AlgorithmCatalog,
    tuning: Tuning = Tuning(builtInFor: []), terms: ChoiceTerms? = nil
  ) {
    self.grouping = grouping
    self.medium = medium
    self.processors = processors
    self.segmentBytesMax = segmentBytesMax
    self.catalog = catalog
    self.tuning = tuning
    let facts = JobFacts(levels: [.init(name: "rank", medium: medium)], processors: processors)
    // Algorithms that users bring are no candidates: they run where a call names them, or where they were measured.
    let choice = AlgorithmChoice(
      grouping: grouping, terms: terms ?? ChoiceTerms(facts, tuning.profile),
      candidates: AlgorithmRegistry.candidates(for: grouping), segmentBytesMax: segmentBytesMax
    ).tuned(
      by: tuning, shape: JobShape(grouping, medium: medium, processors: processors),
      own: catalog.ownAlgorithms(rankCount: grouping.rankCount))
    choices = ChoiceCache(choice)
    orderedChoices =
      catalog.bits == .any
      ? choices
      : ChoiceCache(
        choice.folding(
          by: catalog.bits.tree(for: grouping),
          among: AlgorithmRegistry.candidates(for: grouping, inRankOrder: catalog.bits == .canonical)))
  }

  /// The name of the algorithm for a call of this size.
  ///
  /// - Parameters:
  ///   - bytes: Of the message, or of all blocks together.
  ///   - isOrdered: Whether the order of combines makes a difference to the bits.
  func algorithm(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool, isOrdered: Bool) -> String {
    (isOrdered ? orderedChoices : choices).choice(for: collective).best(bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
  }

  /// The name of the algorithm that would be taken with another profile, where the order of combines makes a difference.
  ///
  /// - Parameter bytes: Of the message, or of all blocks together.
  func algorithm(_ collective: Collective, bytes: UInt64, tuning other: Tuning) -> String {
    orderedChoices.choice.tuned(by: other, shape: shape, own: catalog.ownAlgorithms(rankCount: rankCount))
      .best(collective, bytes: bytes)
  }

  /// Every candidate for a call of this size, and why one of them is chosen, where the order of combines makes a difference.
  ///
  /// - Parameter bytes: Of the message, or of all blocks together.
  func explain(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool) -> Explanation {
    orderedChoices.choice(for: collective).explain(bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
  }

  /// An algorithm as it runs on these ranks: the plain ones follow the order of the groups, unless results have to fold in
  /// the order of the ranks.
  func arranged(_ algorithm: any Algorithm, isOrdered: Bool) -> any Algorithm {
    if isOrdered, catalog.bits == .canonical, algorithm.collective.combines { return algorithm }
    return AlgorithmRegistry.arranged(algorithm, for: grouping)
  }

  /// Bytes of a segment: as long as a link carries, because a segment costs system calls where it does not go through a
  /// window.
  ///
  /// Where one rank combines what the others only send, shorter ones let it begin while they copy. Over RDMA a segment is
  /// cheap, and sixteen or more of a call's let its phases overlap.
  func segmentBytes(_ collective: Collective, bytes: UInt64) -> Int {
    let isShort = bytes <= 1 << 20 && (medium == .rdma || medium == .sharedMemory && collective == .reduce)
    let isMiddling = bytes <= 4 << 20 && medium == .rdma
    return min(isShort ? 64 << 10 : isMiddling ? 128 << 10 : 256 << 10, segmentBytesMax)
  }

  /// Whether results are stored past the caches, because they would not stay there until they are used.
  func isStreaming(bytes: UInt64) -> Bool { bytes >= 1 << 20 }

  /// Whether segments over shared memory travel through windows also where the receiver could copy them from their source.
  ///
  /// Where one rank combines while the others only send, and where the data comes from memory, it is better brought into the
  /// cache by the sender's core while the receiver's combines what came before. And ranks that share cores have the windows
  /// in their caches.
  func prefersWindows(_ collective: Collective, bytes: UInt64) -> Bool {
    switch collective {
    case .allReduce: bytes > 8 << 20 || rankCount > processors
    case .reduceScatter: bytes > 8 << 20
    case .reduce: bytes > 128 << 10
    default: false
    }
  }
}
