// How the calls of C programs reach the library's gate.

import CTuttiHeader
import Tutti
import TuttiSchedule
import TuttiSystem

/// Runs a collective to its end, or starts it where the program gives a place for the work.
func run(
  _ comm: OpaquePointer?, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?,
  _ make: (Communicator) throws(TuttiError) -> CollectiveCall
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let settings = try CallSettings(options)
    var request = try make(communicator)
    request.algorithm = settings.algorithm
    request.timeout = settings.timeout
    if let work {
      work.pointee = tutti_work(try communicator.start(request), of: comm)
    } else {
      try communicator.run(request)
    }
  }
}

/// Hands a started operation to the program, or waits for it where the program gives no place for it.
func finish(
  _ work: UnsafeMutablePointer<tutti_work>?, _ comm: OpaquePointer?, _ started: Work
) throws(TuttiError) {
  guard let work else { return try started.wait() }
  work.pointee = tutti_work(started, of: comm)
}

/// Elements of one block for each rank; refuses more than a call can have.
func wholeCount(_ count: Int, of communicator: Communicator) throws(TuttiError) -> Int {
  try communicator.total(of: .equal, own: count)
}

/// The counts of a v-form, one for each rank, and what they amount to.
struct BlockCounts {
  let counts: [Int]
  let total: Int
  var blocks: BlockSizes { .each(counts) }

  init(_ pointer: UnsafePointer<Int>?, _ name: StaticString, of communicator: Communicator) throws(TuttiError) {
    guard let pointer else {
      throw refusal("'\(name)' is NULL", "Give one count for each of \(communicator.rankCount) ranks")
    }
    counts = [Int](UnsafeBufferPointer(start: pointer, count: communicator.rankCount))
    var sum = 0
    for (rank, count) in counts.enumerated() {
      guard (0...Communicator.countMax - sum).contains(count) else {
        throw refusal(
          "\(name)[\(rank)] is \(UInt(bitPattern: count)): too many elements",
          "All blocks together have at most \(Communicator.countMax)")
      }
      sum += count
    }
    total = sum
  }
}
