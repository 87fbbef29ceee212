import Testing
import TuttiAlgorithms
import TuttiSchedule

@testable import TuttiChoice

/// Predictions, against what was measured on hosts with links of 1 Gb/s.
@Suite struct PredictionTests {
  private static let large: UInt64 = 16 << 20

  /// All-reduce of 16 MiB in milliseconds.
  @Test(arguments: [
    (Hosts(2, by: 2), ["two-shot": 279, "binomial": 140]),
    (Hosts(4, by: 2), ["two-shot": 461, "ring": 247]),
    (Hosts(2, by: 4), ["two-shot": 565, "binomial": 140]),
    (Hosts(2, by: 2, isRoundRobin: true), ["two-shot": 281, "ring": 421, "circulant": 143]),
    (Hosts(4, by: 2, isRoundRobin: true), ["two-shot": 448, "ring": 498, "circulant": 237]),
    (Hosts(2, by: 4, isRoundRobin: true), ["two-shot": 561, "ring": 995, "circulant": 154]),
  ]) func largeMessagesTakeWhatWasMeasured(_ hosts: Hosts, _ measured: [String: Double]) throws {
    let explanation = try hosts.choice().explain(.allReduce, bytes: Self.large)
    for (name, time) in measured {
      let predicted = explanation.milliseconds(name)
      #expect(abs(predicted - time) < 0.2 * time, "\(name): \(predicted) ms, measured \(time)")
    }
    let order = measured.sorted { $0.value < $1.value }.map { explanation.milliseconds($0.key) }
    #expect(order == order.sorted())
  }

  /// The bound is what each host has to send and receive, at the rate of its link.
  @Test(arguments: [Hosts(2, by: 2), Hosts(4, by: 2), Hosts(2, by: 4), Hosts(3, by: 3), Hosts(8, by: 8)], [false, true])
  func autoIsNearTheBound(_ hosts: Hosts, _ isRoundRobin: Bool) throws {
    let hosts = Hosts(hosts.hosts, by: hosts.ranks, isRoundRobin: isRoundRobin)
    let read = try hosts.choice().choice(for: .allReduce)
    let share = 2 * Double(hosts.hosts - 1) / Double(hosts.hosts)
    for (bytes, limit) in [(Self.large, 1.15), (64 << 20, 1.1)] as [(UInt64, Double)] {
      let bound = share * Double(bytes) * MediumTerms.byte(bitsPerSecond: 1e9) / 1000
      let explanation = read.explain(bytes: bytes)
      let time = explanation.milliseconds(explanation.chosen)
      #expect((bound..<bound * limit).contains(time), "\(explanation.chosen): \(time) ms, bound \(bound)")
      let chosen = try #require(explanation.candidates.first { $0.name == explanation.chosen })
      #expect(chosen.prediction?.bound == .link("host"))
    }
  }

  /// What decides for small messages is how often they go from host to host.
  @Test(
    arguments: [Hosts(2, by: 4), Hosts(2, by: 8), Hosts(8, by: 8), Hosts(16, by: 8)], [8, 1 << 10, 8 << 10] as [UInt64])
  func smallMessagesCrossOnce(_ hosts: Hosts, _ bytes: UInt64) throws {
    for isRoundRobin in [false, true] {
      let hosts = Hosts(hosts.hosts, by: hosts.ranks, isRoundRobin: isRoundRobin)
      let explanation = try hosts.choice().explain(.allReduce, bytes: bytes)
      #expect(["leader", "hierarchical", "recursive-doubling"].contains(explanation.chosen), "\(explanation.text)")
      let time = explanation.milliseconds(explanation.chosen)
      for name in ["ring", "binomial", "reduce-broadcast", "double-binary-tree"] {
        #expect(time < explanation.milliseconds(name), "\(name)")
      }
    }
  }

  /// At 64 KiB a good choice takes 0.65 to 2.2 ms.
  @Test(arguments: [Hosts(2, by: 2), Hosts(4, by: 2), Hosts(2, by: 4)], [false, true])
  func middlingMessagesAreHierarchical(_ hosts: Hosts, _ isRoundRobin: Bool) throws {
    let hosts = Hosts(hosts.hosts, by: hosts.ranks, isRoundRobin: isRoundRobin)
    let explanation = try hosts.choice().explain(.allReduce, bytes: 64 << 10)
    #expect((0.5..<2.2).contains(explanation.milliseconds(explanation.chosen)))
    #expect(explanation.milliseconds("hierarchical") < explanation.milliseconds("two-shot"))
    #expect(explanation.milliseconds("leader") < explanation.milliseconds("two-shot"))
  }

  @Test func latencyAndLinksBound() throws {
    let read = try Hosts(4, by: 2).choice().choice(for: .allReduce)
    func bound(_ bytes: UInt64) -> Prediction.Bound? {
      read.explain(bytes: bytes).candidates.first { $0.name == "ring" }?.prediction?.bound
    }
    #expect(bound(8) == .latency)
    #expect(bound(16 << 20) == .link("host"))
    // Links of 1 Tb/s: the busiest rank has to combine.
    let fast = try Hosts(4, by: 2).choice(gigabits: 1000).explain(.allReduce, bytes: 16 << 20)
    #expect(fast.candidates.first { $0.name == "one-shot" }?.prediction?.bound == .combining)
  }

  /// A chain's first segment passes all ranks; a ring's ranks have one to send at any time.
  @Test func pipelinesFill() throws {
    let choice = try Hosts(4, by: 1 << 1).choice()
    let chain = try #require(
      choice.explain(.broadcast, bytes: 16 << 20).candidates.first { $0.name == "chain" }?.prediction)
    #expect(chain.filling > 2 * Double(256 << 10) * MediumTerms.byte(bitsPerSecond: 1e9) * 0.99)
    let ring = try #require(choice.explain(.allReduce, bytes: 16 << 20).candidates.first { $0.name == "ring" }?.prediction)
    #expect(ring.filling == 0)
  }

  /// Two processors for eight ranks of a host: they send one after the other.
  @Test func ranksShareProcessors() throws {
    func time(processors: Int) throws -> Double {
      let facts = JobFacts(
        levels: [.init(name: "host", medium: .network), .init(name: "rank", medium: .sharedMemory)], processors: processors)
      let choice = AlgorithmChoice(
        grouping: try Hosts(2, by: 8).grouping(), terms: ChoiceTerms(facts), candidates: everything)
      return choice.explain(.allReduce, bytes: 8).milliseconds("one-shot")
    }
    #expect(try time(processors: 2) > 1.5 * time(processors: 8))
  }
}
