import Testing
import Tutti
import TuttiAlgorithms
import TuttiSystem
import TuttiTesting

/// Balanced folds, executed: the bits are those of a tree of additions, each of them rounded.
@Suite struct FoldOrderTests {
  /// Everyone folds everyone's data at once.
  private struct BalancedExchange: Algorithm {
    var name: String { "balanced-exchange" }
    var collective: Collective { .allReduce }

    func schedule(for position: Position) -> Schedule {
      let (rank, rankCount) = (position.rank, position.rankCount)
      var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
      program.send([.input(0)], to: (0..<rankCount).filter { $0 != rank }, lifetime: .copied)
      let operands = (0..<rankCount).map { $0 == rank ? .input(0) : program.receiveSlot([.output(0)], from: $0) }
      program.reduce([.output(0)], operands, order: .balanced, completes: rankCount > 1)
      return program.finish()
    }
  }

  /// The last but one folds all ranks' data but the last one's, and passes it on to that one without storing it.
  private struct BalancedForward: Algorithm {
    var name: String { "balanced-forward" }
    var collective: Collective { .allReduce }

    func isDefined(for grouping: Grouping) -> Bool { grouping.rankCount >= 3 }

    func schedule(for position: Position) -> Schedule {
      let (rank, last) = (position.rank, position.rankCount - 1)
      var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
      if rank == last {
        let theirs = program.receiveSlot([.output(0)], from: last - 1)
        program.reduce([.output(0)], [theirs, .input(0)], completes: true)
        program.send([.output(0)], to: Array(0..<last))
        return program.finish()
      }
      if rank == last - 1 {
        let operands = (0..<rank).map { program.receiveSlot([.output(0)], from: $0) } + [.input(0)]
        program.forward([.output(0)], operands, to: last, order: .balanced)
      } else {
        program.send([.input(0)], to: last - 1)
      }
      program.receive([.output(0)], from: last)
      return program.finish()
    }
  }

  private static let values = 10_007

  /// Values whose sums are rounded.
  private static func inputs<Element: BinaryFloatingPoint>(_ rankCount: Int, _ seed: UInt64, of _: Element.Type)
    -> [[Element]]
  {
    var generator = SeededGenerator(seed: seed)
    return (0..<rankCount).map { _ in
      (0..<values).map { _ in
        let word = generator.next()
        let mantissa = Double(Int64(word & 0xFFFF) - 0x8000)
        // Down to 2^-22, up to 2^6.
        let scale = Double(sign: .plus, exponent: Int(word >> 32 % 13) - 22, significand: 1)
        return Element(mantissa * scale)
      }
    }
  }

  /// The plain fold: pairs at the front until a power of two is left, then halves.
  private static func fold<Element: AdditiveArithmetic>(_ operands: [Element]) -> Element {
    let power = 1 << (Int.bitWidth - 1 - operands.count.leadingZeroBitCount)
    let pairs = operands.count - power
    var level: [Element] = (0..<pairs).map { operands[2 * $0] + operands[2 * $0 + 1] }
    level += operands[(2 * pairs)...]
    while level.count > 1 { level = stride(from: 0, to: level.count, by: 2).map { level[$0] + level[$0 + 1] } }
    return level[0]
  }

  private func check<Element: BinaryFloatingPoint & TuttiElement & Sendable>(
    _ transport: TransportChoice, _: Element.Type
  ) throws {
    var options = CommunicatorOptions()
    options.algorithms = [BalancedExchange(), BalancedForward()]
    for rankCount in [3, 4, 5, 7, 8] {
      let inputs = Self.inputs(rankCount, UInt64(rankCount), of: Element.self)
      for (name, behindTheFold) in [("balanced-exchange", 0), ("balanced-forward", 1)] {
        let expected = (0..<Self.values).map { index -> Element in
          let operands = inputs.map { $0[index] }
          let front = Self.fold(Array(operands.dropLast(behindTheFold)))
          return operands.suffix(behindTheFold).reduce(front, +)
        }
        let leftToRight = (0..<Self.values).map { index -> Element in
          let operands: [Element] = inputs.map { $0[index] }
          return operands.dropFirst().reduce(operands[0], +)
        }
        if rankCount - behindTheFold > 3 { #expect(expected != leftToRight, "these values would prove nothing") }
        let results = try withRanks(rankCount, over: transport, options: options) { communicator in
          var results: [[Element]] = []
          for count in [1, 100, Self.values] {
            var values = Array(inputs[communicator.rank].prefix(count))
            try communicator.allReduce(&values, .sum, algorithm: AlgorithmName(name))
            results.append(values)
          }
          return results
        }
        for result in results {
          for values in result { #expect(values == Array(expected.prefix(values.count)), "\(name), \(rankCount) ranks") }
        }
      }
    }
  }

  @Test("the bits are those of the tree", arguments: [TransportChoice.inProcess, .sharedMemory, .tcp])
  func bits(transport: TransportChoice) throws {
    try check(transport, Float.self)
    try check(transport, Float16.self)
  }

  /// Averages of 16-bit numbers divide contributions as they enter the tree, where each combine of two rounds; others
  /// divide the sum, once.
  @Test("averages follow the tree", arguments: [TransportChoice.inProcess, .sharedMemory])
  func averages(transport: TransportChoice) throws {
    var options = CommunicatorOptions()
    options.algorithms = [BalancedExchange()]
    for rankCount in [3, 5, 7, 8] {
      let divisor = Float(rankCount)
      let halves = Self.inputs(rankCount, UInt64(rankCount) + 100, of: Float16.self)
      let floats = Self.inputs(rankCount, UInt64(rankCount) + 200, of: Float.self)
      // A contribution is divided in float32 and is not rounded before it is added.
      let halfMeans = (0..<Self.values).map { index in
        Self.fold(halves.map { Operand.contribution(Float($0[index]) / divisor) }).rounded
      }
      let floatMeans = (0..<Self.values).map { index in Self.fold(floats.map { $0[index] }) / divisor }
      let results = try withRanks(rankCount, over: transport, options: options) { communicator in
        var (half, float) = (halves[communicator.rank], floats[communicator.rank])
        try communicator.allReduce(&half, .average, algorithm: "balanced-exchange")
        try communicator.allReduce(&float, .average, algorithm: "balanced-exchange")
        return (half, float)
      }
      for (half, float) in results {
        #expect(half == halfMeans, "\(rankCount) ranks")
        #expect(float == floatMeans, "\(rankCount) ranks")
      }
    }
  }

  @Test("they are proven and right like all others") func exercised() throws {
    try exercise(BalancedExchange(), rankCounts: 1...7, over: [.inProcess, .sharedMemory], seed: 3)
    try exercise(BalancedForward(), rankCounts: 3...7, over: [.inProcess, .tcp], seed: 4)
  }
}

/// An operand of a tree of averages of float16: of its contributions, or of partial sums, each rounded where it was made.
private struct Operand: AdditiveArithmetic {
  let value: Float
  var rounded: Float16 { Float16(value) }

  static var zero: Operand { Operand(value: 0) }
  static func contribution(_ value: Float) -> Operand { Operand(value: value) }
  static func + (left: Operand, right: Operand) -> Operand {
    Operand(value: Float(Float16(left.value + right.value)))
  }
  static func - (left: Operand, right: Operand) -> Operand { left + Operand(value: -right.value) }
}
