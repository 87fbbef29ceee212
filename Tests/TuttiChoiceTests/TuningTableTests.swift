import Testing
import TuttiSchedule
import TuttiTopology

@testable import TuttiChoice

/// What is read between measured sizes, and beyond them.
@Suite struct TuningTableTests {
  private let table = TuningTable(
    shape: JobShape(medium: .sharedMemory, ranks: 2, processors: 2), collective: .allReduce,
    rows: [
      .init(bytes: 8, microseconds: ["a": 1, "b": 4]), .init(bytes: 1008, microseconds: ["a": 3, "c": 2]),
      .init(bytes: 4008, microseconds: ["a": 12]),
    ])

  @Test(
    arguments: [
      (0, 1.0), (7, 1), (8, 1), (508, 2), (1008, 3), (2508, 7.5), (4008, 12), (8016, 24),
      (4008 << 20, 12 * 1_048_576),
    ] as [(UInt64, Double)])
  func timesBetweenSizes(_ bytes: UInt64, _ microseconds: Double) {
    #expect(table.microseconds("a", bytes: bytes) == microseconds)
  }

  @Test("a time on one side only is no comparison") func oneSideOnly() {
    #expect(table.microseconds("b", bytes: 8) == 4 && table.microseconds("b", bytes: 3) == 4)
    #expect(table.microseconds("b", bytes: 9) == nil && table.microseconds("b", bytes: 5000) == nil)
    #expect(table.microseconds("c", bytes: 1007) == nil && table.microseconds("c", bytes: 1008) == 2)
    #expect(table.microseconds("c", bytes: 1009) == nil && table.microseconds("d", bytes: 8) == nil)
    #expect(table.knows("c") && !table.knows("d"))
  }

  @Test("a barrier has one row, of no bytes") func barrier() {
    let table = TuningTable(shape: table.shape, collective: .barrier, rows: [.init(bytes: 0, microseconds: ["x": 2])])
    #expect(table.microseconds("x", bytes: 0) == 2 && table.microseconds("x", bytes: 9) == 2)
  }

  @Test("a forced profile takes the shape that is most like the job's") func nearestShape() throws {
    func table(_ medium: Medium, _ ranks: Int, _ processors: Int, _ time: Double) -> TuningTable {
      TuningTable(
        shape: JobShape(medium: medium, ranks: ranks, processors: processors), collective: .allReduce,
        rows: [.init(bytes: 8, microseconds: ["a": time])])
    }
    let profile = TuningProfile(
      name: "x",
      tables: [
        table(.network, 4, 2, 1), table(.sharedMemory, 2, 2, 2), table(.sharedMemory, 8, 2, 3),
        table(.sharedMemory, 8, 4, 4),
      ])
    func time(_ medium: Medium, _ ranks: Int, _ processors: Int, isForced: Bool = true) -> Double? {
      let shape = JobShape(medium: medium, ranks: ranks, processors: processors)
      return Tuning.fitting(profile, .options, isForced: isForced, families: [.generic], shape: shape).tuning
        .table(shape, .allReduce)?.rows[0].microseconds["a"]
    }
    #expect(time(.sharedMemory, 4, 2) == 2 && time(.sharedMemory, 7, 2) == 3 && time(.sharedMemory, 7, 5) == 4)
    #expect(time(.rdma, 4, 4) == 1 && time(.network, 4, 2) == 1)
    #expect(time(.sharedMemory, 2, 2, isForced: false) == 2 && time(.sharedMemory, 4, 2, isForced: false) == nil)
  }
}
