import TuttiSchedule

/// An algorithm over groups whose composition follows from how many levels the groups have.
///
/// `hierarchical:INNER+OUTER` is two levels, whatever there are: INNER inside the innermost groups, OUTER between them.
/// `hierarchical` takes the levels one after the other.
struct GroupsAlgorithm: Algorithm {
  let name: String
  let collective: Collective
  /// The composition for groups of so many levels, which is at least 2.
  private let composition: @Sendable (_ levelCount: Int) -> any Algorithm

  init(
    _ collective: Collective, _ name: String, _ composition: @escaping @Sendable (_ levelCount: Int) -> any Algorithm
  ) {
    self.collective = collective
    self.name = name
    self.composition = composition
  }

  /// It is defined where there are groups, of more than one rank and more than one of them.
  func isDefined(for grouping: Grouping) -> Bool {
    let levelCount = grouping.levelCount
    return levelCount > 1 && composition(levelCount).isDefined(for: grouping)
  }

  func schedule(for position: Position) -> Schedule { composition(position.levelCount).schedule(for: position) }

  func cost(for grouping: Grouping) -> AlgorithmCost? {
    grouping.levelCount > 1 ? composition(grouping.levelCount).cost(for: grouping) : nil
  }

  func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    grouping.levelCount > 1 ? composition(grouping.levelCount).foldTree(of: operands, in: grouping) : nil
  }
}

/// The algorithm inside a group that may itself be divided into groups: a composition where it is, and the plain
/// algorithm where it is not.
struct LevelByLevel: Algorithm {
  let name = "level-by-level"
  let plain: any Algorithm
  private let composed: @Sendable () -> any Algorithm

  init(_ plain: any Algorithm, composed: @escaping @Sendable () -> any Algorithm) {
    self.plain = plain
    self.composed = composed
  }

  var collective: Collective { plain.collective }

  private func algorithm(for grouping: Grouping) -> any Algorithm { grouping.levelCount > 1 ? composed() : plain }

  func isDefined(for grouping: Grouping) -> Bool { algorithm(for: grouping).isDefined(for: grouping) }
  func schedule(for position: Position) -> Schedule { algorithm(for: position.grouping).schedule(for: position) }
  func cost(for grouping: Grouping) -> AlgorithmCost? { algorithm(for: grouping).cost(for: grouping) }
  func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    algorithm(for: grouping).foldTree(of: operands, in: grouping)
  }
}
