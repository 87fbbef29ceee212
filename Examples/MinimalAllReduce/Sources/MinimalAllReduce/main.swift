// The smallest whole program: every rank contributes an array, and every rank gets the sum. README.md says how to start it.

import Foundation
import Tutti

do throws(TuttiError) {
  let communicator = try Communicator.join()  // who am I: from the environment
  var values = (0..<8).map { Float(communicator.rank + $0) }
  try communicator.allReduce(&values, .sum)  // in place; the same bits on every rank

  let count = communicator.rankCount
  let expected = (0..<8).map { Float(count * (count - 1) / 2 + count * $0) }
  guard values == expected else {
    print("rank \(communicator.rank): \(values), but expected \(expected)")
    exit(1)
  }
  print("rank \(communicator.rank) of \(count): \(values)")
  communicator.close()
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))  // who, what, why, and what to do
  exit(1)
}
