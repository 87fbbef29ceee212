// How the learning rate changes over a run: a pure function of the step, so that a resumed run goes on as if it had never
// stopped.

import Foundation

/// The learning rate at each step. Steps count from 0.
public enum LearningRateSchedule: Sendable, Equatable {
  case constant(Double)
  /// Rises linearly to `peak` in the first `warmupSteps` steps (Goyal et al., Accurate, Large Minibatch SGD, 2017), then
  /// falls to `final` at step `totalSteps` along half a cosine (Loshchilov & Hutter, SGDR, ICLR 2017), and stays there.
  case warmupCosine(peak: Double, warmupSteps: Int, totalSteps: Int, final: Double = 0)

  public func rate(step: Int) -> Double {
    switch self {
    case .constant(let rate): return rate
    case .warmupCosine(let peak, let warmupSteps, let totalSteps, let final):
      // The first step already learns: step 0 of a warm-up of 10 has a tenth of the peak, step 9 all of it.
      if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
      guard step < totalSteps else { return final }
      let progress = Double(step - warmupSteps) / Double(totalSteps - warmupSteps)
      return final + (peak - final) * (1 + cos(.pi * progress)) / 2
    }
  }
}
