import CTuttiKernels
import TuttiAlgorithms
import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// The plans of simulated ranks: those of the library's algorithms, lowered once for all seeds.
enum SimulatedPlans {
  static let elementBytes = 4
  static let dataType = UInt8(TUTTI_UINT32)

  private struct Key: Hashable {
    var plan: PlanKey
    var rank: Int
    var rankCount: Int
    var segmentBytes: Int
  }

  private static let plans = Lock<[Key: Plan]>([:])

  /// The numbers, from 1, of the algorithms of a collective that serve so many ranks.
  static func algorithms(_ collective: Collective, rankCount: Int) -> [UInt8] {
    let grouping = Grouping(rankCount: rankCount)
    return AlgorithmRegistry.all.indices.filter {
      AlgorithmRegistry.all[$0].collective == collective && AlgorithmRegistry.all[$0].isDefined(for: grouping)
    }.map { UInt8($0 + 1) }
  }

  static func make(_ key: PlanKey, rank: Int, rankCount: Int, segmentBytes: Int) throws(FailureReport) -> CompiledPlan {
    let algorithm = AlgorithmRegistry.all[Int(key.algorithm) - 1]
    let place = Key(plan: key, rank: rank, rankCount: rankCount, segmentBytes: segmentBytes)
    let plan: Plan
    if let known = plans.withLock({ $0[place] }) {
      plan = known
    } else {
      let schedule = algorithm.schedule(for: .flat(rank: rank, rankCount: rankCount, root: Int(key.root)))
      do throws(LoweringError) {
        plan = try Plan(
          lowering: schedule, layout: layout(of: schedule, key, rankCount), elementBytes: elementBytes,
          inPlace: key.inPlace, segmentBytes: segmentBytes, streaming: false)
      } catch { throw FailureReport(.unproven, rank: rank, error.description) }
      plans.withLock { $0[place] = plan }
    }
    return CompiledPlan(
      plan, of: key, algorithm: (algorithm.name, key.algorithm, algorithm.identifier.rawValue), hasBlocks: false)
  }

  private static func layout(of schedule: Schedule, _ key: PlanKey, _ rankCount: Int) -> DataLayout {
    guard key.collective.hasBlocks else {
      return DataLayout(ChunkMap(balanced: key.count, chunkCount: schedule.chunkCount, granule: 1))
    }
    let blocks = Array(repeating: key.count, count: rankCount)
    return DataLayout(ChunkMap(blocks: blocks, chunksPerBlock: max(1, schedule.chunkCount / rankCount)))
  }
}

/// Makes the plans of one rank.
struct RankPlanner: PlanMaker {
  var rank: Int
  var rankCount: Int

  func makePlan(_ key: PlanKey, blocks: [UInt64]?) throws(FailureReport) -> CompiledPlan {
    try SimulatedPlans.make(key, rank: rank, rankCount: rankCount, segmentBytes: 256)
  }
}

/// Makes plans, and remembers how often each was asked for.
final class SimulatedPlanner: PlanMaker {
  private let rank: Int
  private let rankCount: Int
  private let segmentBytes: Int
  private let asked = Lock<[PlanKey: Int]>([:])

  init(_ rank: Int, _ scenario: Scenario) {
    self.rank = rank
    rankCount = scenario.rankCount
    segmentBytes = scenario.segmentBytes
  }

  func makePlan(_ key: PlanKey, blocks: [UInt64]?) throws(FailureReport) -> CompiledPlan {
    asked.withLock { $0[key, default: 0] += 1 }
    return try SimulatedPlans.make(key, rank: rank, rankCount: rankCount, segmentBytes: segmentBytes)
  }

  /// A plan is made once, unless the cache is too small for it.
  func check(dropsPlans: Bool) throws {
    if dropsPlans { return }
    if let (key, count) = asked.withLock({ $0.first { $0.value > 1 } }) {
      throw SimulationError(description: "rank \(rank): the plan of \(key) was made \(count) times")
    }
  }
}
