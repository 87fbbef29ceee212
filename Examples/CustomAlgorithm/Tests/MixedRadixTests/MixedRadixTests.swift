import MixedRadix
import Testing
import TuttiTesting

@Test func isProvenAndRight() throws {
  try prove(MixedRadixAllReduce(), rankCounts: 1...16)
  try exercise(MixedRadixAllReduce(), rankCounts: 1...6, over: [.inProcess, .sharedMemory, .tcp], seed: 1)
}

@Test func theMistakeIsFound() {
  #expect(throws: Counterexample.self) { try prove(MixedRadixAllReduce(foldsOwnFirst: true), rankCounts: [3]) }
}
