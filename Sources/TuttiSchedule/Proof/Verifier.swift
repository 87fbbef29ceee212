// Proves the schedules of all ranks together, by the five properties of ``ProvenProperty``, and names the class of trees by
// which results fold.
//
// Matched messages are checked on the schedules, because both ends must agree for every chunk map. Everything else is
// checked on lowered plans, the same that the engine executes: in place and not, with chunks of several segments, of uneven
// and of no size.

package struct Verifier {
  /// Sizes of chunks to prove with. An element is one segment and one cell of symbolic memory.
  private struct Setting {
    var inPlace: Bool
    var sizes: String
    /// Segments of a chunk, by its size class.
    var segments: @Sendable (Int) -> UInt64

    var text: String { (inPlace ? "in place" : "out of place") + ", " + sizes }
  }

  private static let settings: [Setting] = [false, true].flatMap { inPlace in
    [
      Setting(inPlace: inPlace, sizes: "chunks of 3 segments") { _ in 3 },
      Setting(inPlace: inPlace, sizes: "chunks of 2, 0, 1, 3, ... segments") { [2, 0, 1, 3][$0 % 4] },
      Setting(inPlace: inPlace, sizes: "no elements") { _ in 0 },
    ]
  }

  /// Bytes of the one element that is a segment.
  static let cellBytes = 64

  /// The schedules of all ranks, by rank.
  let schedules: [Schedule]
  let collective: Collective
  let rankCount: Int
  let root: Int
  var setting = ""
  var report = ProofReport()

  /// Proves that the schedules of all ranks perform the collective.
  ///
  /// - Parameter schedules: The schedule of a rank in `0..<rankCount`.
  /// - Throws: ``ProofFailure``, the first counterexample found.
  /// - Complexity: O(segments x log) time for the job as a whole.
  @discardableResult
  package static func prove(
    collective: Collective, rankCount: Int, root: Int, schedules: (Int) -> Schedule
  ) throws(ProofFailure) -> ProofReport {
    var verifier = Verifier(
      schedules: (0..<rankCount).map(schedules), collective: collective, rankCount: rankCount, root: root)
    try verifier.proveAll()
    return verifier.report
  }

  private mutating func proveAll() throws(ProofFailure) {
    report.rankCount = rankCount
    try checkAgreement()
    for setting in Verifier.settings {
      let layouts = schedules.map { layout(of: $0, setting) }
      // A barrier has no elements, whatever it is called with.
      if collective == .barrier && layouts[0].input.count > 0 { continue }
      // Unequal blocks that are sent and received in one place would overlap others.
      if setting.inPlace, layouts.contains(where: { $0.input != $0.output }) { continue }
      self.setting = setting.text
      try prove(layouts, inPlace: setting.inPlace)
    }
  }

  private func layout(of schedule: Schedule, _ setting: Setting) -> DataLayout {
    func map(_ buffer: Buffer) -> ChunkMap {
      var offsets: [UInt64] = [0]
      for chunk in 0..<schedule.chunkCount {
        // Mixed, so that neither a row nor a column of an all-to-all has equal blocks.
        let number = schedule.sizeClass(buffer, chunk)!
        let mixed = collective == .allToAll && !schedule.equalBlocks ? number + number / rankCount : number
        offsets.append(offsets[chunk] + setting.segments(mixed))
      }
      return ChunkMap(offsets: offsets)
    }
    return collective == .allToAll ? DataLayout(input: map(.input), output: map(.output)) : DataLayout(map(.input))
  }

  private mutating func prove(_ layouts: [DataLayout], inPlace: Bool) throws(ProofFailure) {
    let plans = try lower(layouts, inPlace: inPlace)
    if report.steps == 0 {
      try checkMessages()
      try checkInputsUnwritten()
      report.steps = schedules.reduce(0) { $0 + $1.steps.count }
    }
    let graph = EventGraph(plans)
    report.events += graph.eventCount
    report.waits += graph.edgeCount
    guard let order = graph.topologicalOrder() else { throw deadlock(graph) }
    if collective == .barrier {
      try checkBarrier(graph, order)
    } else {
      var execution = SymbolicExecution(self, graph, layouts, inPlace: inPlace)
      try execution.run(order)
      try execution.checkPostcondition()
      report.foldClass = .joined(report.foldClass, execution.foldClass)
    }
  }

  private func lower(_ layouts: [DataLayout], inPlace: Bool) throws(ProofFailure) -> [Plan] {
    var plans: [Plan] = []
    plans.reserveCapacity(rankCount)
    for (schedule, layout) in zip(schedules, layouts) {
      do throws(LoweringError) {
        plans.append(
          try Plan(
            lowering: schedule, layout: layout, elementBytes: Verifier.cellBytes, inPlace: inPlace,
            segmentBytes: Verifier.cellBytes, streaming: false))
      } catch {
        let property: ProvenProperty =
          switch error.kind {
          case .bounds, .overlap: .memory
          case .address, .sizes, .order: .matchedMessages
          }
        throw failure(
          property, rank: error.rank, step: error.step, chunk: error.chunk, expected: error.expected,
          found: error.found)
      }
    }
    return plans
  }

  /// A failure at a step of a rank's schedule.
  func failure(
    _ property: ProvenProperty, rank: Int = -1, step: Int = -1, chunk: Int = -1, expected: String, found: String,
    details: [String] = []
  ) -> ProofFailure {
    ProofFailure(
      property: property, collective: collective, rankCount: rankCount, root: root, setting: setting, rank: rank,
      step: step, stepText: step >= 0 ? schedules[rank].text(ofStep: step) : "", chunk: chunk, expected: expected,
      found: found, details: details)
  }
}
