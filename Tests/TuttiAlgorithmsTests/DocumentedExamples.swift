import TuttiAlgorithms

// The code of the documentation's examples, word for word: that it compiles and is right is tested, and that the documents
// say the same is what `ExampleTests` holds.

enum DocumentedExamples {
  static func allReduceOfTwo(_ position: Position) -> Schedule {
    // example: Sources/TuttiSchedule/Schedule.swift
    // An all-reduce of two ranks.
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    program.send([.input(0)], to: 1 - position.rank, lifetime: .copied)
    let theirs = program.receiveSlot([.input(0)], from: 1 - position.rank)
    program.reduce([.output(0)], position.rank == 0 ? [.input(0), theirs] : [theirs, .input(0)], completes: true)
    return program.finish()
    // end
  }

  static func reduceThenBroadcast(_ position: Position) -> Schedule {
    // example: Sources/TuttiSchedule/Embedding.swift
    // An all-reduce made of a reduce to rank 0 and a broadcast from there.
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    let all = Embedding(ranks: { $0 }, chunks: { $0..<$0 + 1 }, completes: true)
    program.append(DirectReduce().schedule(for: position), all)
    var back = all
    back.input = .output
    program.append(DirectBroadcast().schedule(for: position), back)
    return program.finish()
    // end
  }

  static func hosts() throws -> Int {
    // example: Sources/TuttiSchedule/Grouping.swift
    let hosts = try Grouping([[0, 0, 0, 1, 1]])  // ranks 0 to 2 on one host, 3 and 4 on another
    return hosts.group(of: 4, at: 1).count  // 2
    // end
  }

  static func ringInMeasuredOrder(_ measured: [[Double]], _ hosts: Grouping) -> any Algorithm {
    // example: Sources/TuttiAlgorithms/Orders/RingOrder.swift
    let order = RingOrder.find(costs: measured, keeping: hosts)
    let ring = InTopologyOrder(RingAllReduce.ring, order: order)
    // end
    return ring
  }
}
