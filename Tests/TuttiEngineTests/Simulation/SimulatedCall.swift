import CTuttiKernels
import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// One call of a simulated program: what it computes, and what must come out.
struct SimulatedCall {
  enum Kind {
    case collective(PlanKey, operation: UInt8)
    case transfer(from: Int, to: Int)
  }

  var kind: Kind
  /// Elements of the message, or of each rank's block.
  var count: Int
  /// What the elements are drawn from.
  var salt: UInt64

  init(rankCount: Int, using generator: inout SeededGenerator) {
    salt = generator.next()
    count = [0, 1, 5, 33, 100].randomElement(using: &generator)!
    if Int.random(in: 0..<5, using: &generator) == 0 {
      let from = Int.random(in: 0..<rankCount, using: &generator)
      kind = .transfer(from: from, to: Int.random(in: 0..<rankCount, using: &generator))
      return
    }
    let collective = Self.collectives.randomElement(using: &generator)!
    let algorithm = SimulatedPlans.algorithms(collective, rankCount: rankCount).randomElement(using: &generator)!
    if collective == .barrier { count = 0 }
    let key = PlanKey(
      collective: collective, algorithm: algorithm, dataType: SimulatedPlans.dataType,
      inPlace: collective == .allReduce && Bool.random(using: &generator),
      root: collective.hasRoot ? Int32.random(in: 0..<Int32(rankCount), using: &generator) : 0, count: UInt64(count))
    let operations = [TUTTI_SUM, TUTTI_MIN, TUTTI_MAX, TUTTI_BITWISE_XOR].map { UInt8($0) }
    kind = .collective(key, operation: collective.combines ? operations.randomElement(using: &generator)! : 0)
  }

  /// A message of the traffic that goes on beside a call that is stuck.
  init(trafficFrom from: Int, to: Int, number: Int) {
    kind = .transfer(from: from, to: to)
    count = 100
    salt = UInt64(number)
  }

  /// A barrier, of which a program may start many.
  init(barrierOf rankCount: Int) {
    let algorithm = SimulatedPlans.algorithms(.barrier, rankCount: rankCount)[0]
    kind = .collective(
      PlanKey(collective: .barrier, algorithm: algorithm, dataType: SimulatedPlans.dataType, inPlace: false, count: 0),
      operation: 0)
    count = 0
    salt = 0
  }

  private static let collectives: [Collective] = [
    .allReduce, .allReduce, .allReduce, .barrier, .reduceScatter, .allGather, .broadcast, .reduce, .gather, .scatter,
    .allToAll,
  ]

  /// Whether a rank takes part.
  func involves(_ rank: Int) -> Bool {
    if case .transfer(let from, let to) = kind { return rank == from || rank == to }
    return true
  }

  /// Whether a rank exchanges something with another one.
  func connects(_ rank: Int, rankCount: Int) -> Bool {
    if case .transfer(let from, let to) = kind { return from != to && involves(rank) }
    return rankCount > 1
  }

  /// The same call made wrongly: with one element more.
  var mistaken: SimulatedCall {
    var call = self
    call.count += 1
    if case .collective(let key, let operation) = kind {
      call.kind = .collective(
        PlanKey(
          collective: key.collective, algorithm: key.algorithm, dataType: key.dataType, inPlace: key.inPlace,
          root: key.root, count: UInt64(call.count)), operation: operation)
    }
    return call
  }

  /// The same collective with another root, or by another algorithm where it has none; itself where there is no other.
  func diverted(rankCount: Int) -> SimulatedCall {
    guard case .collective(let key, let operation) = kind else { return self }
    var (root, algorithm) = (key.root, key.algorithm)
    if key.collective.hasRoot {
      root = (root + 1) % Int32(rankCount)
    } else {
      let algorithms = SimulatedPlans.algorithms(key.collective, rankCount: rankCount)
      algorithm = algorithms[(algorithms.firstIndex(of: algorithm)! + 1) % algorithms.count]
    }
    var call = self
    call.kind = .collective(
      PlanKey(
        collective: key.collective, algorithm: algorithm, dataType: key.dataType, inPlace: key.inPlace, root: root,
        count: key.count), operation: operation)
    return call
  }

  var isCollective: Bool { if case .collective = kind { true } else { false } }

  // MARK: Data

  private func value(_ rank: Int, _ index: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: SeededGenerator.mixed(salt &+ UInt64(rank) << 32 &+ UInt64(index)))
  }

  /// What a rank gives.
  func input(of rank: Int, rankCount: Int) -> [UInt32] {
    switch kind {
    case .transfer(let from, _): return rank == from ? (0..<count).map { value(rank, $0) } : []
    case .collective(let key, _):
      let whole = key.collective.hasBlocks ? count * rankCount : count
      let elements: Int
      switch key.collective {
      case .allReduce, .barrier, .reduceScatter, .reduce, .allToAll: elements = whole
      case .allGather, .gather: elements = count
      case .broadcast, .scatter: elements = rank == Int(key.root) ? whole : 0
      }
      return (0..<elements).map { value(rank, $0) }
    }
  }

  /// What a rank must get, from the definition of the call.
  func output(of rank: Int, rankCount: Int) -> [UInt32] {
    switch kind {
    case .transfer(let from, let to): return rank == to ? input(of: from, rankCount: rankCount) : []
    case .collective(let key, let operation):
      let inputs = (0..<rankCount).map { input(of: $0, rankCount: rankCount) }
      let root = Int(key.root)
      let block = rank * count..<(rank + 1) * count
      switch key.collective {
      case .barrier: return []
      case .allReduce: return combined(inputs, operation)
      case .reduce: return rank == root ? combined(inputs, operation) : []
      case .reduceScatter: return Array(combined(inputs, operation)[block])
      case .allGather: return inputs.flatMap { $0 }
      case .gather: return rank == root ? inputs.flatMap { $0 } : []
      case .broadcast: return inputs[root]
      case .scatter: return Array(inputs[root][block])
      case .allToAll: return inputs.flatMap { $0[block] }
      }
    }
  }

  private func combined(_ inputs: [[UInt32]], _ operation: UInt8) -> [UInt32] {
    inputs.dropFirst().reduce(inputs[0]) { sum, input in
      zip(sum, input).map { a, b in
        switch Int(operation) {
        case Int(TUTTI_SUM): a &+ b
        case Int(TUTTI_MIN): min(a, b)
        case Int(TUTTI_MAX): max(a, b)
        default: a ^ b
        }
      }
    }
  }
}
