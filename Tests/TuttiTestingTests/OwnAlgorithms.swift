import TuttiAlgorithms
import TuttiSchedule

/// An algorithm of a test's own, as a user would bring one along.
struct OwnAlgorithm: Algorithm {
  var name: String
  var collective = Collective.allReduce
  /// 0 for any rank count.
  var onlyRankCount = 0
  var program: @Sendable (_ rank: Int, _ rankCount: Int, _ root: Int) -> Schedule

  func isDefined(for grouping: Grouping) -> Bool { onlyRankCount == 0 || grouping.rankCount == onlyRankCount }

  func schedule(for position: Position) -> Schedule { program(position.rank, position.rankCount, position.root) }

  /// All-reduce by everybody's message to everybody, folded in the order that `order` puts the operands of a rank in.
  static func exchange(
    _ name: String, order: @escaping @Sendable (_ rank: Int, _ rankCount: Int) -> [Int]
  ) -> OwnAlgorithm {
    OwnAlgorithm(name: name) { rank, rankCount, _ in
      var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, chunkCount: 1)
      let others = (0..<rankCount).filter { $0 != rank }
      program.send([.input(0)], to: others, lifetime: .copied)
      var operands = [rank: ScheduleBuilder.Operand.input(0)]
      for peer in others { operands[peer] = program.receiveSlot([.output(0)], from: peer) }
      program.reduce([.output(0)], order(rank, rankCount).map { operands[$0]! }, completes: rankCount > 1)
      return program.finish()
    }
  }

  /// Right: every rank folds in rank order.
  static let right = exchange("in-rank-order") { _, rankCount in Array(0..<rankCount) }

  /// Wrong from 3 ranks on: every rank folds its own first, so that the bits differ.
  static let ownFirst = exchange("own-first") { rank, rankCount in
    [rank] + (0..<rankCount).filter { $0 != rank }
  }

  /// The root sends every block where it belongs; of any sizes.
  static let scatter = OwnAlgorithm(name: "from-the-root", collective: .scatter) { rank, rankCount, root in
    var program = ScheduleBuilder(.scatter, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
    if rank != root {
      program.receive([.output(rank)], from: root)
    } else {
      program.copy([.output(rank)], from: [.input(rank)])
      for peer in 0..<rankCount where peer != root { program.send([.input(peer)], to: peer) }
    }
    return program.finish()
  }

  /// Schedules that are wrong in every other way: all must be refused, and none may trap.
  static let garbage: [OwnAlgorithm] = {
    func allReduce(
      _ name: String, chunkCount: Int = 1, scratchCount: Int = 0,
      _ build: @escaping @Sendable (inout ScheduleBuilder, _ rank: Int, _ rankCount: Int) -> Void
    ) -> OwnAlgorithm {
      OwnAlgorithm(name: name) { rank, rankCount, _ in
        var program = ScheduleBuilder(
          .allReduce, rank: rank, rankCount: rankCount, chunkCount: chunkCount, scratchCount: scratchCount)
        build(&program, rank, rankCount)
        return program.finish()
      }
    }
    func of(_ name: String, _ builder: @escaping @Sendable (_ rank: Int, _ rankCount: Int) -> ScheduleBuilder)
      -> OwnAlgorithm
    {
      OwnAlgorithm(name: name) { rank, rankCount, _ in builder(rank, rankCount).finish() }
    }
    return [
      allReduce("nothing") { _, _, _ in },
      allReduce("copy-only") { program, _, _ in program.copy([.output(0)], from: [.input(0)]) },
      allReduce("no-chunks", chunkCount: 0) { _, _, _ in },
      allReduce("no-such-chunk") { program, _, _ in program.copy([.output(7)], from: [.input(0)]) },
      allReduce("negative-chunk") { program, _, _ in program.copy([.output(-1)], from: [.input(0)]) },
      allReduce("no-such-scratch", scratchCount: 1) { program, _, _ in
        program.copy([.scratch(3, 0..<1)], from: [.input(0)])
      },
      allReduce("no-such-peer") { program, _, rankCount in program.send([.input(0)], to: rankCount) },
      allReduce("negative-peer") { program, _, _ in program.receive([.output(0)], from: -1) },
      allReduce("to-itself") { program, rank, _ in program.send([.input(0)], to: rank) },
      allReduce("never-received") { program, rank, rankCount in program.send([.input(0)], to: (rank + 1) % rankCount) },
      allReduce("never-sent") { program, rank, rankCount in program.receive([.output(0)], from: (rank + 1) % rankCount) },
      allReduce("no-operands") { program, _, _ in program.reduce([.output(0)], []) },
      allReduce("no-such-slot") { program, _, _ in
        program.reduce([.output(0)], [ScheduleBuilder.Operand(.slot(Slot(index: 5))), .input(0)], completes: true)
      },
      allReduce("input-written") { program, _, _ in program.copy([.input(0)], from: [.output(0)]) },
      allReduce("forward-to-nobody") { program, _, _ in program.forward([.output(0)], [.input(0)], to: []) },
      of("another-rank") { rank, rankCount in
        ScheduleBuilder(.allReduce, rank: (rank + 1) % rankCount, rankCount: rankCount, chunkCount: 1)
      },
      of("another-rank-count") { rank, _ in ScheduleBuilder(.allReduce, rank: rank, rankCount: 9, chunkCount: 1) },
      of("another-collective") { rank, rankCount in
        ScheduleBuilder(.broadcast, rank: rank, rankCount: rankCount, chunkCount: 1)
      },
      of("another-root") { rank, rankCount in
        ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, root: 1, chunkCount: 1)
      },
      of("different-chunks") { rank, rankCount in
        ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, chunkCount: rank + 1)
      },
      of("no-channels") { rank, rankCount in
        ScheduleBuilder(.allReduce, rank: rank, rankCount: rankCount, chunkCount: 1, channelCount: 0)
      },
    ]
  }()
}
