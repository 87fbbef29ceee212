/// Tracks who wrote each chunk of each memory last, and who has read it since: lowering derives data dependencies from that.
///
/// Invariant: two steps that touch the same bytes, one of them writing, are ordered by the runs returned here, directly or
/// through a later write. All memories have the layout of one chunk map, so chunks overlap only when they are equal.
struct HazardTable {
  /// A part of the dependent step's stream that maps to a part of an earlier step's stream.
  struct Run {
    var kind: Plan.EdgeKind
    var step: Int32
    var lower: UInt64
    var upper: UInt64
    var delta: Int64

    /// The order in which runs that can be merged are neighbours.
    static func precedes(_ a: Run, _ b: Run) -> Bool {
      if a.step != b.step { return a.step < b.step }
      if a.kind != b.kind { return a.kind.rawValue < b.kind.rawValue }
      return a.delta != b.delta ? a.delta < b.delta : a.lower < b.lower
    }
  }

  private struct Reader {
    var step: Int32
    var isSend: Bool
    /// Stream position of the chunk in the reader.
    var position: UInt64
    var next: Int32
  }

  private let chunkCount: Int
  /// By memory and chunk. -1: never written by a step.
  private var writer: [Int32]
  /// Stream position of the chunk in its writer.
  private var writerPosition: [UInt64]
  /// Head of the chunk's list of readers; -1: none.
  private var reader: [Int32]
  private var readers: [Reader] = []

  init(memoryCount: Int, chunkCount: Int) {
    self.chunkCount = chunkCount
    writer = Array(repeating: -1, count: memoryCount * chunkCount)
    writerPosition = Array(repeating: 0, count: memoryCount * chunkCount)
    reader = Array(repeating: -1, count: memoryCount * chunkCount)
  }

  /// The step that wrote the chunk last, or -1.
  func lastWriter(_ memory: Plan.Memory, _ chunk: Int) -> Int32 { writer[Int(memory) * chunkCount + chunk] }

  /// Records that `step` reads a chunk of `bytes` > 0 at stream position `position`; adds what it must wait for.
  mutating func read(
    _ memory: Plan.Memory, _ chunk: Int, by step: Int32, isSend: Bool, at position: UInt64, bytes: UInt64,
    into runs: inout [Run]
  ) {
    let cell = Int(memory) * chunkCount + chunk
    if writer[cell] >= 0 {
      runs.append(run(.executed, writer[cell], writerPosition[cell], position, bytes))
    }
    readers.append(Reader(step: step, isSend: isSend, position: position, next: reader[cell]))
    reader[cell] = Int32(readers.count - 1)
  }

  /// Records that `step` writes a chunk at stream position `position`; adds what it must wait for.
  ///
  /// Readers since the last write wait for that write themselves, so waiting for them is enough. A step that reads the chunk
  /// it writes is one of them and does not wait for itself.
  mutating func write(
    _ memory: Plan.Memory, _ chunk: Int, by step: Int32, at position: UInt64, bytes: UInt64, into runs: inout [Run]
  ) {
    let cell = Int(memory) * chunkCount + chunk
    if bytes > 0 {
      if reader[cell] < 0, writer[cell] >= 0 {
        runs.append(run(.executed, writer[cell], writerPosition[cell], position, bytes))
      }
      var index = reader[cell]
      while index >= 0 {
        let entry = readers[Int(index)]
        if entry.step != step {
          runs.append(run(entry.isSend ? .released : .executed, entry.step, entry.position, position, bytes))
        }
        index = entry.next
      }
    }
    writer[cell] = step
    writerPosition[cell] = position
    reader[cell] = -1
  }

  private func run(
    _ kind: Plan.EdgeKind, _ step: Int32, _ theirs: UInt64, _ ours: UInt64, _ bytes: UInt64
  ) -> Run {
    Run(
      kind: kind, step: step, lower: ours, upper: ours + bytes, delta: Int64(bitPattern: theirs &- ours))
  }

  /// Sorts runs and joins those that continue one another, or are equal.
  static func merge(_ runs: inout [Run]) {
    guard runs.count > 1 else { return }
    runs.sort(by: Run.precedes)
    var last = 0
    for index in 1..<runs.count {
      let run = runs[index]
      if run.step == runs[last].step, run.kind == runs[last].kind, run.delta == runs[last].delta,
        run.lower <= runs[last].upper
      {
        runs[last].upper = max(runs[last].upper, run.upper)
      } else {
        last += 1
        runs[last] = run
      }
    }
    runs.removeSubrange((last + 1)...)
  }
}
