/// Which pairs are measured in which round, so that nobody is in two pairs of one round.
package struct ProbePlan: Sendable {
  /// A pair of a round; the first one begins.
  package struct Pair: Hashable, Sendable {
    package let first: Int
    package let second: Int
  }

  package let rounds: [[Pair]]

  /// - Parameters:
  ///   - count: How many take part, numbered from 0.
  ///   - all: Every pair in `count - 1` or `count` rounds. Otherwise, as many rounds as `count` has binary digits: each
  ///     takes part in at least one, and most in all.
  package init(count: Int, all: Bool) {
    rounds = all ? ProbePlan.tournament(count) : ProbePlan.digits(count)
  }

  /// Those whose numbers differ in one binary digit, digit by digit.
  private static func digits(_ count: Int) -> [[Pair]] {
    var rounds: [[Pair]] = []
    var bit = 1
    while bit < count {
      rounds.append((0..<count).filter { $0 & bit == 0 && $0 | bit < count }.map { Pair(first: $0, second: $0 | bit) })
      bit *= 2
    }
    return rounds
  }

  /// The circle method: one stays, the others turn around it.
  private static func tournament(_ count: Int) -> [[Pair]] {
    guard count > 1 else { return [] }
    let even = count + count % 2
    var circle = Array(0..<even)
    var rounds: [[Pair]] = []
    for _ in 0..<even - 1 {
      let pairs = (0..<even / 2).map { Pair(first: circle[$0], second: circle[even - 1 - $0]) }
      // With an odd count, whoever meets the one that is not there rests.
      rounds.append(
        pairs.filter { $0.first < count && $0.second < count }
          .map { Pair(first: min($0.first, $0.second), second: max($0.first, $0.second)) })
      circle.insert(circle.removeLast(), at: 1)
    }
    return rounds
  }
}
