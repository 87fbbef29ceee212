import Testing
import TuttiEngine
import TuttiSchedule

/// What ranks compare to find out that they are in different calls.
@Suite struct CallHashTests {
  private func hash(
    _ collective: Collective = .broadcast, number: UInt8 = 1, identifier: UInt64 = 7, type: UInt8 = 3, inPlace: Bool = false,
    root: Int32 = 0, hasBlocks: Bool = false, operation: UInt8 = 0
  ) -> UInt32 {
    let key = PlanKey(
      collective: collective, algorithm: number, dataType: type, inPlace: inPlace, root: root, count: 10)
    return CallHash.call(CallHash.plan(key, algorithm: identifier, hasBlocks: hasBlocks), operation: operation)
  }

  @Test("what differs is told apart, roots of large jobs included") func differences() {
    let calls =
      [0, 1, 4095, 4096, 65_535, 65_536].map { hash(root: $0) } + (1...31).map { hash(operation: $0) }
      + [hash(identifier: 8), hash(type: 4), hash(hasBlocks: true), hash(.reduce)]
    #expect(Set(calls).count == calls.count)
  }

  @Test("what each rank has of its own does not count") func ownMatters() {
    #expect(hash(number: 9) == hash() && hash(inPlace: true) == hash())
  }
}
