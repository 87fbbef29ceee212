// Proves, draws and runs an algorithm of your own.
//
//   swift run CustomAlgorithm             all three
//   swift run CustomAlgorithm --broken    what the proof says of a mistake

import Foundation
import MixedRadix
import Tutti
import TuttiTesting

if CommandLine.arguments.contains("--broken") {
  let broken = MixedRadixAllReduce(foldsOwnFirst: true)
  do {
    try prove(broken, rankCounts: 1...8)
    print("\(broken.name) was proven, and should not have been")
    exit(1)
  } catch { print(error) }
  // A communicator refuses to run it, too, and stays usable.
  var options = CommunicatorOptions()
  options.algorithms = [broken]
  try withRanks(3, options: options) { communicator in
    var values: [Float] = [1]
    do throws(TuttiError) { try communicator.allReduce(&values, .sum, algorithm: AlgorithmName(broken.name)) } catch {
      if communicator.rank == 0 { print("\non 3 ranks: \(error.code), and without it all goes well:") }
    }
    try communicator.allReduce(&values, .sum)
    if communicator.rank == 0 { print("the sum of three ones is \(values[0])") }
  }
  exit(0)
}

let algorithm = MixedRadixAllReduce()

// Proven: right results, equal bits on all ranks, no deadlock, for each rank count.
let proof = try prove(algorithm, rankCounts: 1...24)
print("proven at 1 to 24 ranks: \(proof.schedules) schedules with \(proof.messages) messages\n")

// Drawn: as text, and as a picture of messages in time.
print(draw(algorithm, rankCount: 3, as: .text))
let picture = FileManager.default.temporaryDirectory.appending(path: "mixed-radix-12.svg")
try draw(algorithm, rankCount: 12, as: .svg).write(to: picture, atomically: true, encoding: .utf8)
print("12 ranks are drawn in \(picture.path)\n")

// Run: over every transport, on random data, types and sizes, each result compared bit for bit.
for transport in [TransportChoice.inProcess, .sharedMemory, .tcp] {
  try exercise(algorithm, rankCounts: [1, 2, 3, 5, 6], over: [transport], runs: 10, seed: 1)
  print("right over \(transport.name)")
}

// In a program: bring it along in the options, and ask for it by name.
var options = CommunicatorOptions()
options.algorithms = [algorithm]
let sums = try withRanks(6, over: .sharedMemory, options: options) { communicator in
  var values = [Float(communicator.rank)]
  try communicator.allReduce(&values, .sum, algorithm: "mixed-radix")
  return values[0]
}
print("0 + 1 + ... + 5 on 6 ranks: \(sums)")
