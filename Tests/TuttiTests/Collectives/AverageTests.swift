import Foundation
import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTesting

@testable import Tutti

/// Averages of 16-bit numbers: they overflow no more than the mean does, whatever the algorithm, are near it, and
/// have the same bits everywhere.
@Suite(.serialized) struct AverageTests {
  static let collectives: [Collective] = [.allReduce, .reduce, .reduceScatter]

  /// Each algorithm that combines, by name, on `rankCount` ranks.
  static func algorithms(_ collective: Collective, rankCount: Int) -> [String] {
    AlgorithmRegistry.algorithms(for: collective).filter { $0.isDefined(for: Grouping(rankCount: rankCount)) }.map(\.name)
      + ["auto"]
  }

  /// This rank's result: its block of a reduce-scatter, nothing of a reduce on ranks other than the root.
  private func average<Element: TuttiElement>(
    _ communicator: Communicator, _ collective: Collective, _ name: String, _ values: [Element], inPlace: Bool
  ) throws(TuttiError) -> [Element] where Element: ExpressibleByIntegerLiteral {
    let input = TuttiBuffer(values)
    let isBlock = collective == .reduceScatter
    let count = isBlock ? values.count / communicator.rankCount : values.count
    let output = inPlace && !isBlock ? input : TuttiBuffer<Element>(count: count, repeating: 0)
    switch collective {
    case .reduceScatter:
      try communicator.reduceScatter(
        RawMemory(input.pointer.baseAddress, count: count * communicator.rankCount, type: Element.dataType),
        to: output.rawMemory, .average, algorithm: AlgorithmName(name))
    case .reduce:
      try communicator.reduce(input, to: output, .average, root: 1, algorithm: AlgorithmName(name))
    default:
      try communicator.allReduce(input, to: output, .average, algorithm: AlgorithmName(name))
    }
    return collective == .reduce && communicator.rank != 1 ? [] : output.elements
  }

  /// What all ranks' sums are too large for: 40,000, and the largest number there is.
  @Test(arguments: collectives, [2, 3, 4, 5, 7, 8])
  func nothingOverflows(collective: Collective, rankCount: Int) throws {
    try withRanks(rankCount, .inProcess) { communicator in
      for name in Self.algorithms(collective, rankCount: rankCount) {
        for inPlace in [false, true] {
          let large = try average(
            communicator, collective, name, Array(repeating: Float16(40_000), count: 40 * rankCount), inPlace: inPlace)
          // A unit in the last place is 32 there, and each of the sums rounds once.
          if let wrong = large.first(where: { abs(Float($0) - 40_000) > 32 * Float(rankCount) }) {
            throw WrongResult(description: "\(collective.name) \(name) of 40000 on \(rankCount) ranks: \(wrong)")
          }
          let largest = BFloat16(Float(bitPattern: 0x7F7F_0000))
          let huge = try average(
            communicator, collective, name, Array(repeating: largest, count: 40 * rankCount), inPlace: inPlace)
          // Each rounding may go up by half a unit, which at the very top is infinity: so only a power of two is sure.
          if rankCount & (rankCount - 1) == 0, let wrong = huge.first(where: { $0.bitPattern != largest.bitPattern }) {
            throw WrongResult(description: "\(collective.name) \(name) of \(largest) on \(rankCount) ranks: \(wrong)")
          }
        }
      }
    }
  }

  /// Exactly the value, where the ranks are a power of two: dividing by it loses nothing.
  @Test(arguments: collectives)
  func equalNumbersAreTheirOwnAverage(collective: Collective) throws {
    try withRanks(4, .inProcess) { communicator in
      for name in Self.algorithms(collective, rankCount: 4) {
        let result = try average(
          communicator, collective, name, Array(repeating: Float16(40_000), count: 4000), inPlace: false)
        if result.contains(where: { $0 != 40_000 }) {
          throw WrongResult(description: "\(collective.name) \(name): \(result[0]) instead of 40000")
        }
      }
    }
  }

  /// Near the mean in float64, and with the same bits on all ranks; at sizes of which chunks have one element, or
  /// several segments.
  @Test(arguments: [2, 3, 5, 7, 8, 9])
  func nearTheMean(rankCount: Int) throws {
    let seed = testSeed("nearTheMean")
    try withRanks(rankCount, .inProcess) { communicator in
      for (round, count) in [3, 40, 5000, 140_000].enumerated() where count < 100_000 || rankCount < 4 {
        let all = (0..<rankCount).map { rank in
          var generator = SeededGenerator(seed: seed &+ UInt64(round * 100 + rank))
          return (0..<count).map { _ in Float16(Float.random(in: -60_000...60_000, using: &generator)) }
        }
        var means = Array(repeating: 0.0, count: count)
        for values in all { for index in 0..<count { means[index] += Double(values[index]) } }
        for name in Self.algorithms(.allReduce, rankCount: rankCount) {
          let result = try average(communicator, .allReduce, name, all[communicator.rank], inPlace: round % 2 == 0)
          for index in 0..<count {
            let mean = means[index] / Double(rankCount)
            // A partial average is below 65,504, where a unit in the last place is 32: each combine rounds by 16 at
            // most.
            if abs(Double(result[index]) - mean) > 16 * Double(rankCount) + 32 {
              throw WrongResult(
                description:
                  "\(name) of \(count) on \(rankCount) ranks: element \(index) is \(result[index]), mean \(mean), seed \(seed)"
              )
            }
          }
          let bits = result.map { UInt64($0.bitPattern) }
          var extremes = [bits.reduce(0) { $0 &* 31 &+ $1 }]
          let own = extremes
          try communicator.allReduce(&extremes, .max)
          guard extremes == own else {
            throw WrongResult(description: "\(name) of \(count) on \(rankCount) ranks: ranks have other bits, seed \(seed)")
          }
        }
      }
    }
  }
}
