import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTopology

@testable import TuttiChoice

/// What was measured decides, among what is allowed.
@Suite struct TunedChoiceTests {
  private static let shape = JobShape(medium: .sharedMemory, ranks: 12, processors: 12)

  private func choice(
    _ collective: Collective, _ rows: [TuningTable.Row], own: [any Algorithm] = [], shape: JobShape = shape,
    bits: ResultBits = .any, terms: [Medium: MediumTerms] = [:]
  ) -> AlgorithmChoice {
    let grouping = Grouping(rankCount: 12)
    let profile = TuningProfile(
      name: "mine", measured: "here", terms: terms,
      tables: rows.isEmpty ? [] : [TuningTable(shape: shape, collective: collective, rows: rows)])
    let tuning = Tuning.fitting(profile, .options, isForced: true, families: [.generic], shape: Self.shape).tuning
    return AlgorithmChoice(
      grouping: grouping,
      terms: ChoiceTerms(JobFacts(levels: [.init(name: "rank", medium: .sharedMemory)], processors: 12), profile),
      candidates: AlgorithmRegistry.candidates(for: grouping)
    ).folding(by: bits.tree(for: grouping)).tuned(by: tuning, shape: Self.shape, own: own)
  }

  @Test("the least measured time is taken, whatever is predicted") func leastMeasured() throws {
    let rows: [TuningTable.Row] = [
      .init(bytes: 8, microseconds: ["ring": 3, "two-shot": 2, "one-shot": 9]),
      .init(bytes: 1 << 20, microseconds: ["ring": 10, "two-shot": 900, "one-shot": 800]),
    ]
    let choice = choice(.allReduce, rows)
    #expect(choice.best(.allReduce, bytes: 8) == "two-shot" && choice.best(.allReduce, bytes: 1 << 20) == "ring")
    // Ring grows by 7 us to 1 MiB and two-shot by 898: they meet at some 1,177 bytes.
    #expect(choice.best(.allReduce, bytes: 1100) == "two-shot" && choice.best(.allReduce, bytes: 1300) == "ring")
    // Measured, one-shot counts also where it would not be weighed.
    let large = choice.explain(.allReduce, bytes: 2 << 20)
    let oneShot = try #require(large.candidates.first { $0.name == "one-shot" })
    #expect(oneShot.measured == 1600 && oneShot.obstacle == nil)
    #expect(large.chosen == "ring" && large.reason == "the least measured time" && large.profile.name == "mine")
    #expect(large.text.contains("# tuning profile: mine (measured: here)\n"))
    let lines = large.text.split(separator: "\n")
    #expect(lines.first { $0.hasPrefix("ring ") }?.hasSuffix("measured  <- auto") == true)
    #expect(lines[1].hasPrefix("# measured and predicted times;"))
    // Of other collectives nothing is measured.
    let other = choice.explain(.broadcast, bytes: 8)
    #expect(other.chosen == self.choice(.allReduce, []).best(.broadcast, bytes: 8) && !other.reason.contains("measured"))
  }

  @Test("of equal times, the last of the list is taken") func equals() {
    let rows = [TuningTable.Row(bytes: 8, microseconds: ["ring": 2, "one-shot": 2, "two-shot": 2])]
    #expect(choice(.allReduce, rows).best(.allReduce, bytes: 8) == "two-shot")
  }

  @Test("a class of folds restricts what is measured") func classes() throws {
    let rows = [TuningTable.Row(bytes: 8, microseconds: ["ring": 1, "two-shot": 5, "recursive-doubling": 4])]
    #expect(choice(.allReduce, rows).best(.allReduce, bytes: 8) == "ring")
    let held = choice(.allReduce, rows, bits: .class).explain(.allReduce, bytes: 8)
    #expect(held.chosen == "recursive-doubling")
    #expect(held.candidates.first { $0.name == "ring" }?.obstacle == .otherTree)
    // Where nothing that folds so was measured, predictions decide.
    let none = choice(.allReduce, [.init(bytes: 8, microseconds: ["ring": 1])], bits: .class)
    #expect(none.best(.allReduce, bytes: 8) == choice(.allReduce, [], bits: .class).best(.allReduce, bytes: 8))
  }

  @Test("a barrier that was measured needs no rule") func barrier() throws {
    let crowd = JobShape(medium: .sharedMemory, ranks: 12, processors: 2)
    func choice(_ tables: [TuningTable]) -> String {
      let profile = TuningProfile(name: "mine", tables: tables)
      let tuning = Tuning.fitting(profile, .options, isForced: false, families: [], shape: crowd).tuning
      let grouping = Grouping(rankCount: 12)
      let facts = JobFacts(levels: [.init(name: "rank", medium: .sharedMemory)], processors: 2)
      return AlgorithmChoice(
        grouping: grouping, terms: ChoiceTerms(facts), candidates: AlgorithmRegistry.candidates(for: grouping)
      ).tuned(by: tuning, shape: crowd).best(.barrier, bytes: 0)
    }
    let rows = [TuningTable.Row(bytes: 0, microseconds: ["direct": 9, "binomial": 3, "dissemination": 5])]
    #expect(choice([]) == "direct")
    #expect(choice([TuningTable(shape: crowd, collective: .barrier, rows: rows)]) == "binomial")
  }

  @Test("a user's own algorithm takes part where it was measured") func ownAlgorithms() throws {
    let rows = [TuningTable.Row(bytes: 8, microseconds: ["ring": 4, "mine": 1])]
    #expect(choice(.allReduce, rows).best(.allReduce, bytes: 8) == "ring")
    #expect(choice(.allReduce, rows, own: [Mine()]).best(.allReduce, bytes: 8) == "mine")
    let unmeasured = choice(.allReduce, [.init(bytes: 8, microseconds: ["ring": 4])], own: [Mine()])
    #expect(unmeasured.best(.allReduce, bytes: 8) == "ring")
    #expect(!unmeasured.explain(.allReduce, bytes: 8).candidates.contains { $0.name == "mine" })
    // It promises no tree.
    #expect(choice(.allReduce, rows, own: [Mine()], bits: .class).best(.allReduce, bytes: 8) != "mine")
  }

  /// One-shot under another name, with the best of all costs, which nobody is to believe.
  private struct Mine: Algorithm {
    let name = "mine"
    let collective = Collective.allReduce
    func schedule(for position: Position) -> Schedule { OneShotAllReduce().schedule(for: position) }
    func cost(for grouping: Grouping) -> AlgorithmCost? { OneShotAllReduce().cost(for: grouping) }
  }

  @Test("unequal blocks take what serves them") func unequalBlocks() throws {
    let rows = [TuningTable.Row(bytes: 4096, microseconds: ["bruck": 1, "pairwise": 3, "direct": 2])]
    let choice = choice(.allToAll, rows)
    #expect(choice.best(.allToAll, bytes: 4096) == "bruck")
    #expect(choice.best(.allToAll, bytes: 4096, hasUnequalBlocks: true) == "direct")
    let unknown = choice.explain(.allToAll, bytes: 0, hasUnequalBlocks: true)
    #expect(unknown.candidates.allSatisfy { $0.measured == nil })
  }

  @Test("terms of a profile take the place of the library's") func terms() {
    let dear = MediumTerms(round: 1000, message: 1, anyMessage: 0, byte: 0, anyByte: 0, firstByte: 0)
    let explanation = choice(.broadcast, [], terms: [.sharedMemory: dear]).explain(.broadcast, bytes: 8)
    #expect(explanation.candidates.compactMap(\.prediction?.microseconds).allSatisfy { $0 >= 1000 })
    #expect(
      choice(.broadcast, []).explain(.broadcast, bytes: 8).candidates.compactMap(\.prediction).contains {
        $0.microseconds < 100
      })
  }

  // MARK: Whether a profile fits

  @Test("a profile of other processors or ranks is not used, and it is said why") func fitting() {
    let rows = [TuningTable.Row(bytes: 8, microseconds: ["ring": 1])]
    let table = TuningTable(shape: Self.shape, collective: .allReduce, rows: rows)
    func fit(
      _ family: ProcessorFamily?, _ families: Set<ProcessorFamily>, _ shape: JobShape, isForced: Bool = false
    ) -> (Tuning, String) {
      let profile = TuningProfile(name: "p", family: family, tables: [table])
      let (tuning, notice) = Tuning.fitting(profile, .file("f.yaml"), isForced: isForced, families: families, shape: shape)
      return (tuning, notice ?? "")
    }
    let right = fit(.amdZen3, [.amdZen3], Self.shape)
    #expect(right.0.profile.name == "p" && right.1.isEmpty && right.0.source.text == "f.yaml")
    #expect(fit(nil, [.amdZen3, .generic], Self.shape).1.isEmpty)

    let other = fit(.amdZen3, [.amdZen4], Self.shape)
    #expect(other.0.profile == .builtIn(.amdZen4) && other.0.source == .builtIn)
    #expect(other.1.hasPrefix("tuning profile p (f.yaml) is for AMD Zen 3, and the ranks run on AMD Zen 4 or 5: not used."))
    let mixed = fit(.amdZen3, [.amdZen3, .armNeoverseN1], Self.shape)
    #expect(mixed.0.profile == .generic && mixed.1.contains("AMD Zen 3 and Arm Neoverse N1"))
    let forced = fit(.amdZen3, [.amdZen4], Self.shape, isForced: true)
    #expect(forced.0.profile.name == "p" && forced.1.hasSuffix("used all the same, as was asked for"))

    let few = JobShape(medium: .sharedMemory, ranks: 4, processors: 2)
    let shape = fit(nil, [.amdZen4], few)
    #expect(shape.0.source == .builtIn)
    #expect(
      shape.1.contains("measured on 12 ranks over shared memory, and these are 4 ranks over shared memory, 2 at a time"))
    #expect(fit(nil, [.amdZen4], few, isForced: true).0.table(few, .allReduce) == table)
    // A rank alone chooses nothing.
    #expect(fit(nil, [.amdZen4], JobShape(medium: .sharedMemory, ranks: 1, processors: 1)).1.isEmpty)
  }

  @Test("shapes are those of the groups") func shapes() throws {
    let grouping = try Grouping([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 2, 2, 3, 3]])
    let shape = JobShape(grouping, medium: .network, processors: 9)
    #expect(shape == JobShape(medium: .network, ranks: 7, processors: 7, groups: [[3, 4], [2, 1, 2, 2]]))
    #expect(shape.text == "7 ranks over network, in groups of 3, 4, in groups of 2, 1, 2, 2")
    #expect(JobShape(Grouping(rankCount: 1), medium: .rdma, processors: 0).text == "1 rank over RDMA")
  }

  @Test("what is built in says whether it was measured", arguments: ProcessorFamily.allCases)
  func builtIn(_ family: ProcessorFamily) {
    let profile = Tuning(builtInFor: [family]).profile
    #expect(profile == .builtIn(family) && profile.name == "built-in \(family.rawValue)")
    #expect((profile.measured != nil) == (family == .amdZen4))
    #expect(profile.summary.hasSuffix(family == .amdZen4 ? "Zen 5)" : "(not measured)"))
    // Numbers that nobody measured are not made up.
    #expect(profile.terms.isEmpty && profile.tables.isEmpty)
  }
}
