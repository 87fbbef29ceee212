// An axis: the range it shows, where values lie on it, and numbers that people like to read beside it.

import Foundation

/// Values from `lower` to `upper`, linear or logarithmic. Invariant: `lower < upper`, both finite; above 0 when logarithmic.
struct Axis {
  let lower: Double
  let upper: Double
  let isLogarithmic: Bool
  let ticks: [Double]
  /// The difference that labels must show; infinite where ticks are powers of ten and their multiples, which differ
  /// anyway.
  private let labelStep: Double

  /// Beyond this, differences and ratios could overflow; no loss or time is that large.
  static let magnitudeMax = 1e100

  static func isDrawable(_ value: Double, logarithmic: Bool = false) -> Bool {
    abs(value) < magnitudeMax && (!logarithmic || value > 1 / magnitudeMax)
  }

  /// - Parameters:
  ///   - values: Drawable values. Without any, the axis is 0 to 1; a single one lies in the middle.
  ///   - isTight: Whether the axis ends with the values; else with the next tick.
  init(_ values: some Sequence<Double>, logarithmic: Bool = false, tight: Bool, tickCount: Int) {
    var low = Double.infinity
    var high = -Double.infinity
    for value in values {
      low = min(low, value)
      high = max(high, value)
    }
    isLogarithmic = logarithmic
    if low > high { (low, high) = logarithmic ? (0.1, 1) : (0, 1) }
    if logarithmic {
      // Room above and below, so that no curve lies on the frame.
      let margin = max(pow(high / low, 0.04), 1.02)
      (low, high) = (low / margin, high * margin)
    } else if high - low <= abs(high) * 1e-12 {
      let margin = max(abs(high) * 0.1, 0.5)
      (low, high) = (low - margin, high + margin)
    }
    let step = Axis.niceStep(high - low, count: tickCount)
    if !logarithmic, !tight { (low, high) = ((low / step).rounded(.down) * step, (high / step).rounded(.up) * step) }
    (lower, upper) = (low, high)
    let powers = logarithmic ? Axis.logarithmicTicks(low, high, count: tickCount) : []
    ticks = powers.count >= 3 ? powers : Axis.linearTicks(low, high, step: step)
    labelStep = powers.count >= 3 ? .infinity : step
  }

  /// The position of a value, from 0 at `lower` to 1 at `upper`.
  func position(_ value: Double) -> Double {
    isLogarithmic ? log(value / lower) / log(upper / lower) : (value - lower) / (upper - lower)
  }

  /// A tick as text, with as many decimals as tell it from the next one.
  func label(_ tick: Double) -> String {
    if tick == 0 { return "0" }
    let needed = labelStep.isFinite ? labelStep : abs(tick)
    let decimals = max(0, Int((-log10(needed) - 1e-9).rounded(.up)))
    if abs(tick) >= 1e7 || decimals > 5 { return String(format: "%g", tick) }
    return String(format: "%.\(decimals)f", tick)
  }

  /// 1, 2 or 5 times a power of ten, so that about `count` steps span the range (Heckbert, Nice numbers for graph labels,
  /// Graphics Gems, 1990).
  static func niceStep(_ span: Double, count: Int) -> Double {
    let rough = span / Double(max(count, 1))
    let power = pow(10, log10(rough).rounded(.down))
    let factor = [1.0, 2, 5].first { rough <= $0 * power * 1.0001 } ?? 10
    return factor * power
  }

  private static func linearTicks(_ low: Double, _ high: Double, step: Double) -> [Double] {
    let first = (low / step - 1e-9).rounded(.up)
    let last = (high / step + 1e-9).rounded(.down)
    // Bounded: a step that vanishes beside the values would never get anywhere.
    guard last >= first, last - first < 100 else { return [] }
    return stride(from: first, through: last, by: 1).map { $0 * step }
  }

  /// Powers of ten, with their doubles and fivefolds between while there are few.
  private static func logarithmicTicks(_ low: Double, _ high: Double, count: Int) -> [Double] {
    let decades = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
    let factors = decades.count <= 4 ? [1.0, 2, 5] : [1.0]
    let stride = max(1, decades.count / max(count, 1))
    return decades.filter { $0.isMultiple(of: stride) }
      .flatMap { decade in factors.map { $0 * pow(10, Double(decade)) } }
      .filter { $0 >= low && $0 <= high }
  }
}
