import Foundation
import SeededRandom

/// Uniform and normal random numbers that are the same on every machine for one seed.
///
/// Normal numbers after Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
struct RandomNumbers: RandomNumberGenerator {
  private var bits: SplitMix64
  private var spare: Double?

  init(seed: UInt64) { bits = SplitMix64(seed: seed) }

  mutating func next() -> UInt64 { bits.next() }

  /// In 0..<1, with 53 random bits.
  mutating func nextUniform() -> Double {
    Double(next() >> 11) * 0x1p-53
  }

  /// Mean 0, standard deviation 1.
  mutating func nextNormal() -> Double {
    if let number = spare {
      spare = nil
      return number
    }
    let radius = (-2 * log(1 - nextUniform())).squareRoot()
    let angle = 2 * Double.pi * nextUniform()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }
}
