import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTopology

@testable import TuttiChoice

/// Terms of described networks.
@Suite struct TopologyTermsTests {
  private func levels(_ terms: ChoiceTerms) throws -> [LevelTerms] {
    guard case .levels(let levels) = terms.model else { throw Missing() }
    return levels
  }

  private struct Missing: Error {}

  @Test func ethernetIsAKernelsAndAHostHasOneLink() throws {
    let terms = ChoiceTerms(try Topology.shipped("ethernet-4"))
    let levels = try levels(terms)
    #expect(levels.map(\.name) == ["host", "rank"])
    #expect(terms.hostLevel == 1 && terms.processors == 2)
    // 10 us at either end, 3 in the switch, memory, and the engine.
    #expect((24..<25).contains(levels[0].round))
    #expect(levels[0].message == MediumTerms.terms(of: .network).message)
    #expect(levels[0].byte == MediumTerms.byte(bitsPerSecond: 1e9))
    #expect(levels[0].exitByte == levels[0].byte)
    #expect(levels[1].round < 2 && levels[1].exitByte == 0 && levels[1].copyByte > 0)
  }

  /// The same hosts, described or known by their links, have the same times at line rate.
  @Test func descriptionAndFactsAgree() throws {
    let described = try Topology.shipped("ethernet-4").choice().explain(.allReduce, bytes: 16 << 20)
    let known = try Hosts(4, by: 2).choice().explain(.allReduce, bytes: 16 << 20)
    for name in ["ring", "two-shot", "binomial", "hierarchical"] {
      let (a, b) = (described.milliseconds(name), known.milliseconds(name))
      #expect(abs(a - b) < 0.02 * b, "\(name): \(a), \(b)")
    }
  }

  @Test func railsHaveTheirOwnLinks() throws {
    let terms = ChoiceTerms(try Topology.shipped("rail-pod-1024"))
    let levels = try levels(terms)
    #expect(levels.map(\.name) == ["leaf", "host", "socket", "rank"])
    #expect(terms.hostLevel == 2 && terms.processors == 8)
    // Eight interfaces leave a host, of which a rank uses one.
    #expect(abs(levels[1].exitByte * 8 - levels[1].byte) < 1e-12)
    #expect(levels[1].message == MediumTerms.terms(of: .rdma).message)
    // Oversubscribed above the leaves: 256 ranks share half of what their links carry.
    #expect(abs(levels[0].exitByte * 128 - levels[0].byte) < 1e-12)
    #expect(levels[2].exitByte > 0 && levels[3].sharedByte > 0)
  }

  /// Programs of large descriptions take long to read without optimisation: there, those of one collective are.
  @Test(arguments: [
    ("two-socket", Collective.allCases), ("two-racks", Collective.allCases), ("roce-4", Collective.allCases),
    ("wan-4-regions", [.allReduce, .broadcast]), ("torus-8x8x8", [.broadcast]), ("fat-tree-k16", [.reduce]),
    ("dragonfly-17x16x8", [.barrier]), ("rail-pod-1024", [.barrier]),
  ]) func everyDescriptionHasAChoice(_ name: String, _ collectives: [Collective]) throws {
    let topology = try Topology.shipped(name)
    let choice = try topology.choice()
    #expect(choice.terms.levelCount == choice.grouping.levelCount)
    for collective in collectives {
      let read = choice.choice(for: collective)
      for bytes in [0, 8, 64 << 10, 64 << 20] as [UInt64] {
        let explanation = read.explain(bytes: bytes)
        #expect(explanation.chosen == read.best(bytes: bytes))
        #expect(explanation.candidates.contains { $0.name == explanation.chosen && $0.prediction != nil })
        for candidate in explanation.candidates {
          #expect(candidate.prediction.map { $0.microseconds.isFinite && $0.microseconds >= 0 } ?? true, "\(candidate.name)")
        }
      }
    }
  }

  @Test func oneHostIsLevelZero() throws {
    #expect(ChoiceTerms(try Topology.shipped("two-socket")).hostLevel == 0)
    let regions = try Topology.shipped("wan-4-regions")
    let terms = ChoiceTerms(regions)
    #expect(regions.levels.map(\.name)[terms.hostLevel - 1] == "host")
  }
}
