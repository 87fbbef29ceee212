// Groups of ranks, and what they are good for: a ring that knows nothing of hosts, and an all-reduce that follows them.
// README.md says how to start it.

import Foundation
import Tutti
import TuttiSchedule

/// Returns how long one all-reduce takes on the slowest rank, in milliseconds: the best of five.
func time(_ algorithm: AlgorithmName, _ gradients: inout [Float], _ communicator: Communicator) throws(TuttiError) -> Double
{
  var best = Double.infinity
  for _ in 0..<5 {
    for index in gradients.indices { gradients[index] = Float(communicator.rank) }
    try communicator.barrier()
    let start = ContinuousClock.now
    try communicator.allReduce(&gradients, .sum, algorithm: algorithm)
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    var slowest = [Double(seconds) * 1e3 + Double(attoseconds) / 1e15]
    try communicator.allReduce(&slowest, .max)
    best = min(best, slowest[0])
  }
  let sum = Float(communicator.rankCount * (communicator.rankCount - 1) / 2)
  guard gradients.allSatisfy({ $0 == sum }) else { fatalError("\(algorithm): a wrong sum on rank \(communicator.rank)") }
  return best
}

do throws(TuttiError) {
  var options = CommunicatorOptions()
  // The same on all ranks, which compare its hash. Without it, ranks of one host are a group all the same.
  options.topology = try JobTopology(contentsOf: CommandLine.arguments.dropFirst().first ?? "two-hosts.yaml")
  let communicator = try Communicator.join(options: options)
  let isFirst = communicator.rank == 0

  if isFirst {
    let groups = communicator.grouping
    for level in 1..<groups.levelCount {
      let members = (0..<groups.groupCount(at: level)).map { "\(Array(groups.group($0, at: level)))" }
      print("\(communicator.levelNames[level - 1]): ranks \(members.joined(separator: ", "))")
    }
  }
  var gradients = [Float](repeating: 0, count: 1 << 20)
  for algorithm: AlgorithmName in ["ring", "hierarchical", .automatic] {
    let milliseconds = try time(algorithm, &gradients, communicator)
    if isFirst { print("\(algorithm), 4 MiB: \(String(format: "%.1f", milliseconds)) ms") }
  }
  if isFirst { print(try communicator.explain(.allReduce, bytes: 4 << 20)) }
  communicator.close()
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
