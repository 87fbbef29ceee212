import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem

/// The algorithms a communicator can run: the library's, and those its owner brought along, which are proven before they
/// first run.
///
/// Within one process an algorithm is known by its *number*: its place among its collective's, from 1 on; 0 stands for the
/// communicator's own choice. Ranks compare its `AlgorithmIdentifier`.
final class AlgorithmCatalog: Sendable {
  private let own: [any Algorithm]
  /// By collective: the library's, then the own ones.
  private let byCollective: [Collective: [any Algorithm]]
  private let mayRunUnproven: Bool
  /// What the bits of results that round may depend on.
  let bits: ResultBits
  /// Which own algorithms were proven, and by which trees they fold.
  private let proven = Lock<[Proof: FoldClass?]>([:])

  private struct Proof: Hashable {
    var algorithm: AlgorithmIdentifier
    var rankCount: Int
    var root: Int
  }

  /// The largest rank count for which users' own algorithms are proven.
  static let provenRanksMax = 512
  /// A number has 8 bits.
  private static let algorithmsMax = 255

  /// - Throws: `.configuration` for an algorithm whose name is not allowed, or is that of another one of its collective.
  convenience init(_ options: CommunicatorOptions) throws(FailureReport) {
    try self.init(own: options.algorithms, mayRunUnproven: options.allowsUnprovenAlgorithms, bits: options.bits ?? .class)
  }

  /// - Parameter identifier: Returns the identifier of an algorithm; tests make two of them collide.
  init(
    own: [any Algorithm], mayRunUnproven: Bool, bits: ResultBits = .class,
    identifier: (any Algorithm) -> AlgorithmIdentifier = { $0.identifier }
  ) throws(FailureReport) {
    var known: [AlgorithmIdentifier: any Algorithm] = [:]
    let library = AlgorithmRegistry.all + AlgorithmRegistry.overGroups
    for algorithm in library { known[identifier(algorithm)] = algorithm }
    var byCollective = Dictionary(grouping: library) { $0.collective }
    for algorithm in own {
      func refuse(_ message: String, _ advice: String) -> FailureReport {
        FailureReport(.configuration, "algorithm \(algorithm.name): \(message)", advice: advice)
      }
      let collective = algorithm.collective
      guard !algorithm.name.isEmpty, algorithm.name != "auto", algorithm.name != "all" else {
        throw refuse("that is not a name for an algorithm", "Choose one in kebab-case, but not auto or all")
      }
      if byCollective[collective, default: []].contains(where: { $0.name == algorithm.name }) {
        throw refuse("\(collective.name) has an algorithm of that name", "Choose another name")
      }
      if let other = known.updateValue(algorithm, forKey: identifier(algorithm)) {
        throw refuse(
          "ranks cannot tell it from \(other.collective.name) \(other.name): the hashes of both names are equal",
          "Choose another name")
      }
      byCollective[collective, default: []].append(algorithm)
      guard byCollective[collective, default: []].count <= Self.algorithmsMax else {
        throw refuse("\(collective.name) would have more than \(Self.algorithmsMax) algorithms", "Add fewer in the options")
      }
    }
    self.own = own
    self.bits = bits
    self.byCollective = byCollective
    self.mayRunUnproven = mayRunUnproven
  }

  /// The own algorithms that `rankCount` ranks can run.
  func ownAlgorithms(rankCount: Int) -> [any Algorithm] {
    rankCount <= Self.provenRanksMax || mayRunUnproven ? own : []
  }

  func algorithms(for collective: Collective) -> [any Algorithm] { byCollective[collective, default: []] }

  func algorithm(_ collective: Collective, named name: String) -> (any Algorithm)? {
    algorithms(for: collective).first { $0.name == name }
  }

  /// The number of an algorithm; nil where there is none of that name.
  func number(_ collective: Collective, named name: String) -> UInt8? {
    algorithms(for: collective).firstIndex { $0.name == name }.map { UInt8($0 + 1) }
  }

  /// The algorithm of a number, which is one that ``number(_:named:)`` gave.
  func algorithm(_ collective: Collective, number: UInt8) -> any Algorithm { algorithms(for: collective)[Int(number) - 1] }

  /// What a person calls the algorithm of a number: `auto` for 0.
  func name(_ collective: Collective, number: UInt8) -> String {
    number == 0 ? "auto" : algorithm(collective, number: number).name
  }

  /// What ranks compare of it: 0 for `auto`.
  func identifier(_ collective: Collective, number: UInt8) -> AlgorithmIdentifier {
    number == 0 ? AlgorithmIdentifier(rawValue: 0) : algorithm(collective, number: number).identifier
  }

  /// What a person calls an algorithm that another rank speaks of.
  func name(_ collective: Collective, _ identifier: AlgorithmIdentifier) -> String {
    if identifier.rawValue == 0 { return "auto" }
    return algorithms(for: collective).first { $0.identifier == identifier }?.name ?? "an algorithm that is not known here"
  }

  /// What all ranks must have in common: the own algorithms, in the order of their names.
  var agreement: String {
    (own.isEmpty || !mayRunUnproven ? "" : "unproven allowed: ")
      + own.map { "\($0.collective.name) \($0.name)" }.sorted().joined(separator: ", ")
  }

  /// Proves one of the own algorithms, the first time it is to run; the library's were proven by its tests.
  ///
  /// - Returns: The trees by which it folds; nil for the library's algorithms, which declare theirs, and for what runs
  ///   unproven.
  @discardableResult
  func prove(_ algorithm: any Algorithm, for position: Position) throws(FailureReport) -> FoldClass? {
    if AlgorithmRegistry.any(algorithm.collective, named: algorithm.name) != nil { return nil }
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    let proof = Proof(algorithm: algorithm.identifier, rankCount: rankCount, root: root)
    if let known = proven.withLock({ $0[proof] }) { return known }
    if rankCount > Self.provenRanksMax {
      if mayRunUnproven { return nil }
      throw FailureReport(
        .unproven, rank: rank,
        "algorithm \(algorithm.name) cannot be proven for \(rankCount) ranks: \(Self.provenRanksMax) is the most",
        advice: "Set allowsUnprovenAlgorithms in the options to run it all the same")
    }
    let report: ProofReport
    do throws(ProofFailure) {
      report = try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
        algorithm.schedule(for: position.grouping.position(of: $0, root: root))
      }
    } catch {
      throw FailureReport(
        .unproven, rank: rank, "algorithm \(algorithm.name) was refused: \(error.description)",
        advice: "Correct the schedule at the step that the counterexample shows")
    }
    proven.withLock { $0[proof] = .some(report.foldClass) }
    return report.foldClass
  }
}
