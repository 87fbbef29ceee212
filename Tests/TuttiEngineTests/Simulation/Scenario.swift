import TuttiSystem

/// What a seed decides: ranks, calls, and what goes wrong.
struct Scenario: CustomStringConvertible {
  enum Fault: Equatable {
    case none
    /// A link is cut when a rank has sent so many segments.
    case cut(rank: Int, segment: Int)
    /// A link cannot be opened.
    case refusal(rank: Int)
    /// A rank stops making calls, but lives.
    case silence(rank: Int, call: Int)
    /// A rank makes another call.
    case mistake(rank: Int, call: Int)
    /// A rank makes a collective by another algorithm, or with another root, so that it needs other links.
    case detour(rank: Int, call: Int)
    /// A rank gives up.
    case abort(rank: Int, step: Int)
    /// The process is stopped for an hour.
    case stop(step: Int)
  }

  static let hour: UInt64 = 3_600_000_000_000

  let seed: UInt64
  let rankCount: Int
  let calls: [SimulatedCall]
  let fault: Fault
  /// The limit of each call, in nanoseconds.
  let limit: UInt64
  /// How long a call may stay where it is before the other ranks are asked for theirs.
  let stallNanoseconds: UInt64
  /// A call that is stuck has sends and receives of two other ranks beside it, without a pause.
  let hasTraffic: Bool
  let segmentBytes: Int
  /// Calls that a rank starts before it waits for the first.
  let inFlightMax: Int
  /// What fits into a cache of plans; small ones drop most.
  let cacheBytes: Int
  /// Nanoseconds that a step takes.
  let stepNanoseconds: UInt64

  init(seed: UInt64, using generator: inout SeededGenerator) {
    self.seed = seed
    rankCount = [1, 2, 2, 3, 3, 4, 5].randomElement(using: &generator)!
    let isFlood = Int.random(in: 0..<100, using: &generator) == 0
    let ranks = rankCount
    if isFlood {
      calls = Array(repeating: SimulatedCall(barrierOf: ranks), count: 90)
    } else {
      var drawn: [SimulatedCall] = []
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        // Programs repeat themselves.
        let another = SimulatedCall(rankCount: ranks, using: &generator)
        let isRepeated = Int.random(in: 0..<3, using: &generator) == 0
        drawn.append(isRepeated ? drawn.last ?? another : another)
      }
      calls = drawn
    }
    let rank = Int.random(in: 0..<rankCount, using: &generator)
    let call = Int.random(in: 0..<calls.count, using: &generator)
    let step = Int.random(in: 0..<150, using: &generator)
    switch Int.random(in: 0..<14, using: &generator) {
    case 0: fault = .cut(rank: rank, segment: Int.random(in: 1...12, using: &generator))
    case 1: fault = .refusal(rank: rank)
    case 2, 3: fault = .silence(rank: rank, call: call)
    case 4 where calls[call].connects(rank, rankCount: ranks): fault = .mistake(rank: rank, call: call)
    case 5: fault = .abort(rank: rank, step: step)
    case 6: fault = .stop(step: step)
    case 7...8 where calls[call].isCollective: fault = .detour(rank: rank, call: call)
    default: fault = .none
    }
    if case .silence = fault {
      limit = UInt64.random(in: 1_000_000...4_000_000, using: &generator)
    } else {
      limit = 60_000_000_000
    }
    stallNanoseconds = UInt64.random(in: 200_000...1_000_000, using: &generator)
    // Messages of a pair are matched by their order, so there must be no others.
    let hasTransfers = calls.contains { if case .transfer = $0.kind { true } else { false } }
    hasTraffic = rankCount >= 3 && !hasTransfers && Bool.random(using: &generator)
    segmentBytes = [64, 256].randomElement(using: &generator)!
    inFlightMax = isFlood ? .max : Int.random(in: 1...4, using: &generator)
    cacheBytes = [1 << 20, 1 << 20, 6_000].randomElement(using: &generator)!
    stepNanoseconds = [1_000, 3_000].randomElement(using: &generator)!
  }

  var description: String {
    "seed \(seed): \(rankCount) ranks, \(calls.count) calls, \(fault), limit \(limit) ns, \(inFlightMax) in flight"
      + (hasTraffic ? ", traffic" : "") + ": \(calls.prefix(8).map { "\($0.kind) x \($0.count)" })"
  }
}
