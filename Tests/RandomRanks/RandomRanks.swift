// A rank of random operations: joins as the environment says and makes operations that all ranks draw from one seed, on
// communicators that all ranks split from the first one, as RandomRunTests does with threads for ranks.
//
// randomranks TRANSPORT EXPECTED OPERATIONS TIMEOUT_SECONDS
//
// OPERATIONS are made in all, some of them at the same time on several communicators. Of the transports that carried them
// each is one of EXPECTED (`rdma`, or `shm+rdma`), and each of EXPECTED is among them. Rank 0 draws the seed, or takes
// TUTTI_TEST_SEED, and prints it. Ends with status 1 and says what was wrong: the call with its arguments, and the first
// wrong byte; or the error.

import Foundation
import Tutti
import TuttiTesting

@main struct RandomRanks {
  /// The number of operations of a communicator, before the next one is split.
  static let operationsEach = 40

  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count == 5, let transport = TransportChoice(name: arguments[1]), let operations = Int(arguments[3]),
      operations > 0, let seconds = Double(arguments[4])
    else {
      say("usage: randomranks TRANSPORT EXPECTED OPERATIONS TIMEOUT_SECONDS")
      exit(64)
    }
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(seconds)
    do {
      let all = try Communicator.join(options: options)
      let carriers = try run(all, operations, seed: try agreeOnSeed(all))
      let expected = TransportSet(arguments[2].split(separator: "+").compactMap { TransportChoice(name: String($0)) })
      guard carriers == expected else {
        say("rank \(all.rank): carried by \(carriers), which should be \(expected)")
        exit(1)
      }
      try all.barrier()
      all.close()
    } catch {
      say("randomranks: \(error)")
      exit(1)
    }
  }

  /// A rank's part. Returns the transports of this rank's links.
  static func run(_ all: Communicator, _ operations: Int, seed: UInt64) throws -> TransportSet {
    var seeds = SeededGenerator(seed: seed)
    var left = operations
    while left > 0 {
      let count = min(left, operationsEach)
      left -= count
      let shared = seeds.next()
      // Half of them on all ranks, a quarter on parts of the ranks, and a quarter on parts of a part.
      switch Int.random(in: 0..<4, using: &seeds) {
      case 0: try RandomOperations.playSplit(all, count, seed: shared)
      case 1:
        let part = try all.split(color: all.rank * Int.random(in: 1...2, using: &seeds) / max(2, all.rankCount - 1))
        if let part {
          try RandomOperations.playSplit(part, count, seed: shared &+ UInt64(part.rankCount))
          part.close()
        }
      default: try RandomOperations.play(all, count, seed: shared)
      }
      // Over every link of this rank.
      _ = try all.allToAll([Int32](repeating: 0, count: all.rankCount))
    }
    return all.lastOperation.transports
  }

  /// Rank 0's, which prints it.
  static func agreeOnSeed(_ all: Communicator) throws -> UInt64 {
    var seed = [ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? .random(in: 0...UInt64.max)]
    try all.broadcast(&seed, root: 0)
    if all.rank == 0 { say("randomranks: TUTTI_TEST_SEED=\(seed[0])") }
    return seed[0]
  }

  static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
