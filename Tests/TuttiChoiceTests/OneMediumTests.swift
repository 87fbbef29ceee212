import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTopology

@testable import TuttiChoice

/// What `auto` stands for in jobs with one level: recorded before the choice had levels, and again when an algorithm came.
@Suite struct OneMediumTests {
  /// By medium and collective: the FNV-1a hash of the names chosen for 2 to 64 ranks, 1 to 8 processors, equal and unequal
  /// blocks, and 8 B to 128 MiB, with a line feed after each.
  private static let recorded: [Medium: [Collective: UInt64]] = [
    .sharedMemory: [
      .allReduce: 0x84f7e356dc9c7039, .barrier: 0x5499085fa26daf57, .reduceScatter: 0xd9a2f14b7f752e2d,
      .allGather: 0x409aa9663e74bf45, .broadcast: 0x83a7412cae586f1, .reduce: 0x45cfdfc20936b151,
      .gather: 0x45cfdfc20936b151, .scatter: 0x45cfdfc20936b151, .allToAll: 0x6572c5f9f7734e33,
    ],
    .loopback: [
      .allReduce: 0x69a45ad0f4502293, .barrier: 0x98694a803fcaf525, .reduceScatter: 0x2587bd63fc64c2bd,
      .allGather: 0xac392648bf7786c5, .broadcast: 0x6f644f76afa48e1d, .reduce: 0x16b0f20a016b4e9f,
      .gather: 0x363bf1d8430869d1, .scatter: 0x363bf1d8430869d1, .allToAll: 0x9a4c35fabd6937c3,
    ],
    .network: [
      .allReduce: 0xf077a58b1dd79ce5, .barrier: 0xd46adbde61ac9d75, .reduceScatter: 0xd9a2f14b7f752e2d,
      .allGather: 0x409aa9663e74bf45, .broadcast: 0x3611a24015f0a04d, .reduce: 0xadd784c30f0e4e65,
      .gather: 0x304fc2207768c7f5, .scatter: 0x304fc2207768c7f5, .allToAll: 0x442f0430c80d8b0d,
    ],
    .rdma: [
      .allReduce: 0xf077a58b1dd79ce5, .barrier: 0xd46adbde61ac9d75, .reduceScatter: 0xd9a2f14b7f752e2d,
      .allGather: 0x409aa9663e74bf45, .broadcast: 0x3611a24015f0a04d, .reduce: 0xadd784c30f0e4e65,
      .gather: 0x304fc2207768c7f5, .scatter: 0x304fc2207768c7f5, .allToAll: 0x442f0430c80d8b0d,
    ],
  ]

  @Test(arguments: Medium.allCases) func choicesAreWhatTheyWere(_ medium: Medium) throws {
    var hashes = [Collective: UInt64](uniqueKeysWithValues: Collective.allCases.map { ($0, 0xcbf2_9ce4_8422_2325) })
    for ranks in [2, 3, 4, 5, 7, 8, 16, 64] {
      for processors in [1, 2, 4, 8] {
        let facts = JobFacts(levels: [.init(name: "rank", medium: medium)], processors: processors)
        let choice = AlgorithmChoice(
          grouping: Grouping(rankCount: ranks), terms: ChoiceTerms(facts), candidates: everything)
        for collective in Collective.allCases {
          let read = choice.choice(for: collective)
          for isUnequal in [false, true] {
            for shift in 3...27 {
              let name = read.best(bytes: 1 << UInt64(shift), hasUnequalBlocks: isUnequal)
              for byte in (name + "\n").utf8 {
                hashes[collective] = ((hashes[collective] ?? 0) ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
              }
            }
          }
        }
      }
    }
    for (collective, hash) in hashes {
      #expect(Self.recorded[medium]?[collective] == hash, "\(collective.name)")
    }
  }

  @Test func knownRateScalesBytesAlone() throws {
    func time(_ rate: Double?, bytes: UInt64) -> Double {
      let facts = JobFacts(levels: [.init(name: "rank", medium: .network, linkBitsPerSecond: rate)], processors: 1)
      let choice = AlgorithmChoice(grouping: Grouping(rankCount: 4), terms: ChoiceTerms(facts), candidates: everything)
      return choice.explain(.allReduce, bytes: bytes).milliseconds("ring")
    }
    #expect(time(1e9, bytes: 16 << 20) > 10 * time(nil, bytes: 16 << 20))
    #expect(time(1e9, bytes: 0) == time(nil, bytes: 0))
  }
}
