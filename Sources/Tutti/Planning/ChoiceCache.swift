import TuttiChoice
import TuttiSchedule
import TuttiSystem

/// Keeps the choices that were made ready, by collective: reading the programs of all candidates takes milliseconds on large
/// jobs, and serves all sizes.
///
/// The members of a group in one process share one, and wait for whoever reads first.
final class ChoiceCache: Sendable {
  let choice: AlgorithmChoice
  private let read = Lock<[Collective: CollectiveChoice]>([:])

  init(_ choice: AlgorithmChoice) { self.choice = choice }

  func choice(for collective: Collective) -> CollectiveChoice {
    read.withLock { read in
      if let known = read[collective] { return known }
      let new = choice.choice(for: collective)
      read[collective] = new
      return new
    }
  }
}
