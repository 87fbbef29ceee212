import Synchronization
import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem

/// The algorithms a communicator can run: the library's, and those its owner brought along, which are proven before they first run.
final class AlgorithmCatalog: Sendable {
  private let own: [any Algorithm]
  private let mayRunUnproven: Bool
  /// Which of the own algorithms were proven, for which rank count and root.
  private let proven = Lock<Set<[Int]>>([])

  /// Rank counts up to which users' own algorithms are proven.
  static let provenRanksMax = 512

  /// - Throws: `.configuration` for an algorithm whose name or identifier another one has, or whose identifier is the library's.
  init(_ options: CommunicatorOptions) throws(FailureReport) {
    let own = options.algorithms
    var known = AlgorithmRegistry.all
    for algorithm in own {
      func refuse(_ message: String, _ advice: String) -> FailureReport {
        FailureReport(.configuration, "algorithm \(algorithm.name): \(message)", advice: advice)
      }
      guard algorithm.identifier >= 128 else {
        throw refuse("identifier \(algorithm.identifier) is one of the library's", "Choose one from 128 to 255")
      }
      guard !algorithm.name.isEmpty, algorithm.name != "auto", algorithm.name != "all" else {
        throw refuse("that is no name for an algorithm", "Choose one in kebab-case")
      }
      for other in known {
        if other.identifier == algorithm.identifier {
          throw refuse("identifier \(other.identifier) is that of \(other.collective.name) \(other.name)", "Choose another")
        }
        if other.name == algorithm.name, other.collective == algorithm.collective {
          throw refuse("\(other.collective.name) has an algorithm of that name", "Choose another name")
        }
      }
      known.append(algorithm)
    }
    self.own = own
    mayRunUnproven = options.allowsUnprovenAlgorithms
  }

  func algorithms(for collective: Collective) -> [any Algorithm] {
    AlgorithmRegistry.algorithms(for: collective) + own.filter { $0.collective == collective }
  }

  func algorithm(_ collective: Collective, named name: String) -> (any Algorithm)? {
    AlgorithmRegistry.algorithm(collective, named: name)
      ?? own.first { $0.collective == collective && $0.name == name }
  }

  func algorithm(identifier: UInt8) -> (any Algorithm)? {
    AlgorithmRegistry.algorithm(identifier: identifier) ?? own.first { $0.identifier == identifier }
  }

  /// What all ranks must have in common: the own algorithms, in the order of their identifiers.
  var agreement: String {
    (own.isEmpty || !mayRunUnproven ? "" : "unproven allowed: ")
      + own.sorted { $0.identifier < $1.identifier }.map { "\($0.identifier) \($0.collective.name) \($0.name)" }
      .joined(separator: ", ")
  }

  /// Proves one of the own algorithms, the first time it is to run; the library's were proven by its tests.
  func prove(_ algorithm: any Algorithm, rank: Int, rankCount: Int, root: Int) throws(FailureReport) {
    guard algorithm.identifier >= 128 else { return }
    let key = [Int(algorithm.identifier), rankCount, root]
    if proven.withLock({ $0.contains(key) }) { return }
    if rankCount > Self.provenRanksMax {
      if mayRunUnproven { return }
      throw FailureReport(
        .unproven, rank: rank,
        "algorithm \(algorithm.name) cannot be proven for \(rankCount) ranks: \(Self.provenRanksMax) is the most",
        advice: "Set allowsUnprovenAlgorithms in the options to run it all the same")
    }
    do throws(ProofFailure) {
      try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
        algorithm.schedule(rank: $0, rankCount: rankCount, root: root)
      }
    } catch {
      throw FailureReport(
        .unproven, rank: rank, "algorithm \(algorithm.name) was refused: \(error.description)",
        advice: "Correct the schedule where the counterexample shows it")
    }
    _ = proven.withLock { $0.insert(key) }
  }
}
