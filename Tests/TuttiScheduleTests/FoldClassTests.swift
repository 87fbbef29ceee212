import Testing
import TuttiSchedule

/// What the proof says of the trees that results fold by.
@Suite struct FoldClassTests {
  /// Everybody's data to everybody, who folds it: one chunk after the other, each in its way.
  private func foldClass(
    _ rankCount: Int, chunks: [(order: [Int], fold: FoldOrder)]
  ) throws -> FoldClass? {
    try Verifier.prove(collective: .allReduce, rankCount: rankCount, root: 0) { rank in
      var program = ScheduleBuilder(
        .allReduce, for: .flat(rank: rank, rankCount: rankCount), chunkCount: chunks.count)
      let peers = (0..<rankCount).filter { $0 != rank }
      for (chunk, way) in chunks.enumerated() {
        program.send([.input(chunk)], to: peers, lifetime: .copied)
        var operands = (0..<rankCount).map { _ in ScheduleBuilder.Operand.input(chunk) }
        for peer in peers { operands[peer] = program.receiveSlot([.output(chunk)], from: peer) }
        program.reduce([.output(chunk)], way.order.map { operands[$0] }, order: way.fold, completes: true)
      }
      return program.finish()
    }.foldClass
  }

  @Test("a balanced fold in rank order is canonical, any other one tree is named") func classes() throws {
    for rankCount in 2...9 {
      #expect(try foldClass(rankCount, chunks: [(Array(0..<rankCount), .balanced)]) == .canonical)
    }
    #expect(try foldClass(2, chunks: [([1, 0], .leftToRight)]) == .canonical, "of two operands there is one tree")
    let turned = try foldClass(4, chunks: [([0, 2, 1, 3], .balanced)])
    #expect(turned?.text.hasPrefix("one tree, ((0+2)+(1+3)), tree-") == true, "\(String(describing: turned))")
    // Left to right, 16-bit floats are rounded once: another tree than that of three combines.
    let wide = try foldClass(4, chunks: [([0, 1, 2, 3], .leftToRight)])
    #expect(wide?.text.hasPrefix("one tree, (0+1+2+3), tree-") == true, "\(String(describing: wide))")
  }

  @Test("chunks that fold differently have no class") func severalTrees() throws {
    #expect(try foldClass(3, chunks: [([0, 1, 2], .balanced), ([1, 2, 0], .balanced)]) == .several)
    #expect(try foldClass(3, chunks: [([0, 1, 2], .balanced), ([1, 0, 2], .balanced)]) == .canonical, "only swapped")
  }

  @Test("a summary says at which rank counts") func summary() {
    var summary = FoldSummary()
    #expect(summary.description == nil)
    for rankCount in 1...3 { summary.add(.canonical, rankCount: rankCount) }
    #expect(summary.description == "folds canonically" && summary.canonicalText == "all" && summary.oneText == "none")
    summary.add(.several, rankCount: 4)
    summary.add(.one(.rank(0), text: "0"), rankCount: 5)
    summary.add(.canonical, rankCount: 6)
    #expect(
      summary.description
        == "folds canonically at 1 to 3 and 6, by one other tree at 5, by several trees at 4 ranks")
  }
}
