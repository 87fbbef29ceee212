import Checkpoints
import Foundation
import Testing

/// What is written by any number of ranks is read by any other number.
@Suite struct RoundTripTests {
  static let counts = (1...4).flatMap { written in (1...4).map { (written, $0) } }

  @Test(arguments: counts) func anyNumberOfRanks(written: Int, read: Int) throws {
    try roundTrip(Float.self, written: written, read: read)
    try roundTrip(Double.self, written: written, read: read)
  }

  private func roundTrip<Element: CheckpointElement & BinaryFloatingPoint>(
    _: Element.Type, written: Int, read: Int
  ) throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    try write(Element.self, step: 1200, to: path, ranks: written)
    #expect(folder.names == ["step-00001200"])
    let wrong = withRanks(read) { rank, exchange in
      let model = TestModel<Element>(isFilled: false)
      let store = CheckpointStore(
        folder: path, identity: model.identity, keep: 1, rank: rank, rankCount: read, exchange: exchange)
      let checkpoint = try store.latest()
      guard checkpoint.manifest.progress == progress(1200), checkpoint.manifest.rankCount == written else { return -1 }
      try store.read(checkpoint, into: model.pieces(rank: rank, of: read))
      return model.wrongElements(rank: rank, of: read)
    }
    #expect(try wrong.map { try $0.get() } == Array(repeating: 0, count: read))
  }

  /// Each byte once: shards hold the elements and their tables, and nothing twice.
  @Test func shardsHoldEverythingOnce() throws {
    let folder = try TemporaryFolder()
    try write(step: 7, to: folder.path, ranks: 3)
    let checkpoint = try CheckpointFolder(path: folder.path).latest()
    let elements = 3 * TestModel<Float>.parameters.reduce(0) { $0 + $1.count }
    let pieces = 3 * 3 * TestModel<Float>.parameters.count
    #expect(checkpoint.manifest.shards.reduce(0) { $0 + $1.bytes } == 4 * elements + 3 * 40 + 24 * pieces)
    #expect(checkpoint.manifest.shards.map(\.file) == (0..<3).map { "shard-\($0)-of-3.tutti" })
  }

  /// The hash in the manifest is the one that people can compute.
  @Test func hashesAreThoseOfTheFiles() throws {
    let folder = try TemporaryFolder()
    try write(step: 7, to: folder.path, ranks: 2)
    let checkpoint = try CheckpointFolder(path: folder.path).latest()
    for shard in checkpoint.manifest.shards {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/sha256sum")
      process.arguments = ["\(checkpoint.folder)/\(shard.file)"]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      #expect(text.hasPrefix(shard.sha256))
    }
  }

  @Test func aPartIsReadAlone() throws {
    let folder = try TemporaryFolder()
    try write(step: 7, to: folder.path, ranks: 4)
    let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 5)
    defer { memory.deallocate() }
    memory.initialize(repeating: -1)
    let piece = CheckpointPiece(parameter: 4, part: .state(1), range: 20..<25, memory: memory)
    try CheckpointFolder(path: folder.path).latest().read(into: [piece])
    #expect(Array(memory) == (20..<25).map { TestModel<Float>.value(4, 2, $0) })
  }

  @Test func onlyTheNewestStay() throws {
    let folder = try TemporaryFolder()
    for step in [100, 200, 300, 100_000_000] { try write(step: step, to: folder.path, ranks: 2, keep: 2) }
    #expect(folder.names == ["step-00000300", "step-100000000"])
    #expect(try CheckpointFolder(path: folder.path).latest().manifest.progress.step == 100_000_000)
  }

  @Test func otherFilesAreLeftAlone() throws {
    let folder = try TemporaryFolder()
    for name in ["notes.txt", "step-1", "step-x", "steps"] {
      try "mine".write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
    }
    for step in 1...3 { try write(step: step, to: folder.path, ranks: 1, keep: 1) }
    #expect(folder.names == ["notes.txt", "step-00000003", "step-1", "step-x", "steps"])
  }
}
