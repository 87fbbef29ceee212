import Testing
import TuttiSchedule

/// How combines of several operands are folded, and that the proof tells the ways apart.
@Suite struct FoldOrderTests {
  @Test("a balanced fold is the tree of pairs at the front and halves") func shapes() {
    #expect(
      (1...8).map(FoldOrderTests.tree) == [
        "0", "(0+1)", "((0+1)+2)", "((0+1)+(2+3))", "(((0+1)+2)+(3+4))", "(((0+1)+(2+3))+(4+5))",
        "(((0+1)+(2+3))+((4+5)+6))", "(((0+1)+(2+3))+((4+5)+(6+7)))",
      ])
  }

  /// The tree that the combines make, each in its block. Fails where a block is read after it was overwritten.
  private static func tree(_ operandCount: Int) -> String {
    var blocks = Array(repeating: "?", count: BalancedFold.blockCount(operandCount: operandCount))
    var fold = BalancedFold(operandCount: operandCount)
    var result = "0"
    while let next = fold.next() {
      func text(_ operand: Int) -> String { operand >= 0 ? "\(operand)" : blocks[~operand] }
      result = "(\(text(next.left))+\(text(next.right)))"
      if !next.isLast { blocks[~next.result] = result }
    }
    return result
  }

  @Test("every operand is folded once, in order, whatever their number") func inOrder() {
    for operandCount in 1...300 {
      let numbers = FoldOrderTests.tree(operandCount).split { "()+".contains($0) }.compactMap { Int($0) }
      #expect(numbers == Array(0..<operandCount))
    }
  }

  /// Everybody's data to everybody; rank 0 folds as `first` says, the others as `others` does.
  private func prove(
    _ rankCount: Int, _ first: @escaping (inout ScheduleBuilder, [ScheduleBuilder.Operand]) -> Void,
    _ others: @escaping (inout ScheduleBuilder, [ScheduleBuilder.Operand]) -> Void
  ) throws {
    try Verifier.prove(collective: .allReduce, rankCount: rankCount, root: 0) { rank in
      var program = ScheduleBuilder(.allReduce, for: .flat(rank: rank, rankCount: rankCount), chunkCount: 1, scratchCount: 1)
      let peers = (0..<rankCount).filter { $0 != rank }
      program.send([.input(0)], to: peers, lifetime: .copied)
      let operands = (0..<rankCount).map { $0 == rank ? .input(0) : program.receiveSlot([.output(0)], from: $0) }
      if rank == 0 { first(&program, operands) } else { others(&program, operands) }
      return program.finish()
    }
  }

  private func oneStep(_ order: FoldOrder) -> (inout ScheduleBuilder, [ScheduleBuilder.Operand]) -> Void {
    { program, operands in program.reduce([.output(0)], operands, order: order, completes: true) }
  }

  /// The first two, then each of the others, rounded in between.
  private func manySteps(_ program: inout ScheduleBuilder, _ operands: [ScheduleBuilder.Operand]) {
    program.reduce([.scratch(0, 0..<1)], Array(operands[..<2]))
    for operand in operands[2..<operands.count - 1] {
      program.reduce([.scratch(0, 0..<1)], [.scratch(0, 0..<1), operand])
    }
    program.reduce([.output(0)], [.scratch(0, 0..<1), operands.last!], completes: true)
  }

  @Test("ranks that fold in different orders are refused") func ordersDiffer() throws {
    for order in FoldOrder.allCases { try prove(4, oneStep(order), oneStep(order)) }
    let failure = #expect(throws: ProofFailure.self) { try prove(4, oneStep(.balanced), oneStep(.leftToRight)) }
    #expect(failure?.property == .sameTree)
    #expect(failure?.expected == "((0+1)+(2+3)), as on rank 0" && failure?.found == "(0+1+2+3)")
    // Of two operands there is one order.
    try prove(2, oneStep(.balanced), oneStep(.leftToRight))
  }

  /// Left to right, one step rounds 16-bit floats once, and several steps round them each time.
  @Test("one rounding is not several") func roundingsDiffer() throws {
    #expect(throws: ProofFailure.self) { try prove(3, oneStep(.leftToRight), manySteps) }
    // Of three, a balanced fold is that of two steps.
    try prove(3, oneStep(.balanced), manySteps)
    #expect(throws: ProofFailure.self) { try prove(4, oneStep(.balanced), manySteps) }
  }
}
