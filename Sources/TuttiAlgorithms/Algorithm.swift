@_exported import TuttiSchedule

/// A collective algorithm: a pure function from a rank's position to its program.
///
/// A conforming type writes data, not communication: the verifier proves the schedules of all ranks before they first run.
public protocol Algorithm: Sendable {
  /// The name on the command line and in reports, in kebab-case; unique within its collective.
  var name: String { get }
  /// The collective that it computes.
  var collective: Collective { get }
  /// Whether the algorithm can serve these ranks; by default any number of them, in any groups.
  func isDefined(for grouping: Grouping) -> Bool
  /// The program of one rank, generated in O(its own steps): a pure function, since what is proven must be what runs.
  func schedule(for position: Position) -> Schedule
  /// What it costs, for the automatic choice. With nil, the default, it is only used where it is asked for by name.
  func cost(for grouping: Grouping) -> AlgorithmCost?
  /// Whether the automatic choice weighs it for these ranks by what it costs, as it does by default. Otherwise it is used
  /// where it is asked for by name, and in compositions.
  func isWeighed(for grouping: Grouping) -> Bool
  /// The one tree by which every element of the result folds, whatever the size and the root, where each rank contributes
  /// one of these operands. It is nil, as it is by default from three ranks on, where elements fold by several trees, or
  /// by one that is not promised.
  ///
  /// - Parameters:
  /// - operands: By rank. In a composition, the trees of what the groups have reduced.
  ///   - grouping: The ranks.
  /// - Complexity: O(ranks).
  func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree?
}

extension Algorithm {
  public func isDefined(for grouping: Grouping) -> Bool { true }
  public func cost(for grouping: Grouping) -> AlgorithmCost? { nil }
  public func isWeighed(for grouping: Grouping) -> Bool { true }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    // Up to two ranks there is only one.
    collective.combines && operands.count <= 2 ? .canonical(operands) : nil
  }

  /// The one tree by which results fold on all ranks of a job; nil where there is none.
  public func foldTree(for grouping: Grouping) -> FoldTree? {
    foldTree(of: (0..<grouping.rankCount).map(FoldTree.rank), in: grouping)
  }

  /// The number that ranks compare to notice that they chose differently. It follows from collective and name, and is the
  /// same in every build.
  package var identifier: AlgorithmIdentifier { AlgorithmIdentifier(collective, name) }
}

/// The 64-bit FNV-1a hash of `collective/name`, so that nobody has to hand out numbers. That no two algorithms share a
/// hash is checked where they meet: by the tests for the library's, and by every communicator for those that the program
/// brings.
///
/// - SeeAlso: Fowler, Noll & Vo, RFC 9923.
package struct AlgorithmIdentifier: Hashable, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package init(_ collective: Collective, _ name: String) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in "\(collective.name)/\(name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    rawValue = hash
  }
}

extension Grouping {
  /// Whether the groups tell which ranks are near each other. Where they do not, algorithms whose only merit is short
  /// distances take no part in the automatic choice.
  var tellsDistances: Bool { levelCount > 1 }
}
