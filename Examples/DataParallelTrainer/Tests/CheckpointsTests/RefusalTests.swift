import Checkpoints
import Foundation
import Testing

/// What belongs to something else is neither read nor overwritten, and all ranks say the same.
@Suite struct RefusalTests {
  /// Where no test may be left out it fails instead.
  private static let canMount = geteuid() == 0 || ProcessInfo.processInfo.environment["TUTTI_REQUIRE_ALL_TESTS"] == "1"
  private static let identity = TestModel<Float>(isFilled: false).identity

  private static let differences: [(name: String, change: @Sendable (inout CheckpointIdentity) -> Void, says: String)] = [
    ("model", { $0.model = "text" }, "its model is 'test', not 'text'"),
    ("configuration", { $0.configuration["width"] = "8" }, "its width is 7, not 8"),
    ("another setting", { $0.configuration["depth"] = "8" }, "its depth is not set, not 8"),
    ("type", { $0.elementType = "float64" }, "its elements are float32, not float64"),
    (
      "shape", { $0.parameters[1] = CheckpointParameter(name: "first.bias", shape: [8]) },
      "parameter 'first.bias' of shape [7] where this model has 'first.bias' of shape [8]"
    ),
    (
      "name", { $0.parameters[0] = CheckpointParameter(name: "other", shape: [7, 5]) },
      "parameter 'first.weight' of shape [7, 5] where this model has 'other'"
    ),
    ("fewer", { $0.parameters.removeLast() }, "it has 5 parameters, not 4: 'last.weight' is the first without"),
    ("optimizer", { $0.states = ["momentum"] }, "its optimizer keeps mean and square, not momentum"),
  ]

  @Test(arguments: differences.indices) func foreignModel(index: Int) throws {
    let difference = Self.differences[index]
    let folder = try TemporaryFolder()
    let path = folder.path
    try write(step: 100, to: path)
    var identity = Self.identity
    difference.change(&identity)
    let foreign = identity
    for reads in [true, false] {
      let results = withRanks(2) { rank, exchange in
        let store = CheckpointStore(
          folder: path, identity: foreign, keep: 1, rank: rank, rankCount: 2, exchange: exchange)
        if reads { _ = try store.latest() } else { try store.prepare(lastStep: 0) }
      }
      for result in results {
        let error = checkpointError { try result.get() }
        #expect(error?.code == .foreignModel)
        #expect(error?.message.contains(difference.says) == true, "\(error?.description ?? "nothing")")
      }
    }
    #expect(folder.names == ["step-00000100"])
  }

  /// A checkpoint of the same model, but of a run that this one does not go on from.
  @Test func anotherRunsFolder() throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    try write(step: 100, to: path)
    func prepare(lastStep: Int) -> CheckpointError? {
      let results = withRanks(1) { _, exchange in
        try CheckpointStore(folder: path, identity: Self.identity, keep: 1, rank: 0, rankCount: 1, exchange: exchange)
          .prepare(lastStep: lastStep)
      }
      return checkpointError { try results[0].get() }
    }
    #expect(prepare(lastStep: 0)?.code == .occupied)
    #expect(prepare(lastStep: 0)?.message.contains("up to step 100 already") == true)
    #expect(prepare(lastStep: 100) == nil)
  }

  @Test func nothingIsOverwritten() throws {
    let folder = try TemporaryFolder()
    try write(step: 100, to: folder.path)
    let before = try CheckpointFolder(path: folder.path).latest().manifest
    let path = folder.path
    #expect(checkpointError { try write(step: 100, to: path, ranks: 3) }?.code == .occupied)
    #expect(try CheckpointFolder(path: folder.path).latest().manifest == before)
  }

  /// A path through a file: even root cannot write there.
  @Test func unwritableFolder() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/file/below"
    try "file".write(toFile: "\(folder.path)/file", atomically: true, encoding: .utf8)
    let results = withRanks(2) { rank, exchange in
      try CheckpointStore(
        folder: path, identity: Self.identity, keep: 1, rank: rank, rankCount: 2, exchange: exchange
      ).prepare(lastStep: 0)
    }
    for result in results {
      let error = checkpointError { try result.get() }
      #expect(error?.code == .unwritable)
      #expect(error?.description.hasPrefix("rank 0: \(path): cannot be written: Not a directory") == true)
    }
  }

  /// Rank 1's host has another folder of the same name.
  @Test func folderThatIsNotShared() throws {
    let (own, other) = (try TemporaryFolder(), try TemporaryFolder())
    let paths = [own.path, other.path]
    try FileManager.default.createDirectory(
      atPath: "\(other.path)/step-00000100.partial", withIntermediateDirectories: false)
    let results = withRanks(2) { rank, exchange in
      let model = TestModel<Float>(isFilled: true)
      try CheckpointStore(
        folder: paths[rank], identity: model.identity, keep: 1, rank: rank, rankCount: 2, exchange: exchange
      ).write(progress(100), model.pieces(rank: rank, of: 2))
    }
    for result in results {
      let error = checkpointError { try result.get() }
      #expect(error?.message.contains("rank 0 does not see it") == true)
    }
    #expect(own.names == [])
  }

  /// A file system of half a megabyte, made for the test.
  @Test(.enabled(if: canMount, "needs root, to mount a small file system")) func fullDisk() throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    func run(_ command: String...) throws -> Bool {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = command
      process.standardError = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      return process.terminationStatus == 0
    }
    try #require(try run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", path))
    defer { _ = try? run("umount", path) }
    try write(step: 100, to: path)
    let results = withRanks(2) { rank, exchange in
      let store = CheckpointStore(
        folder: path, identity: Self.identity, keep: 1, rank: rank, rankCount: 2, exchange: exchange)
      let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: rank == 1 ? 1 << 20 : 0)
      memory.initialize(repeating: 0)
      defer { memory.deallocate() }
      try store.write(
        progress(200), [CheckpointPiece(parameter: 0, part: .values, range: 0..<memory.count, memory: memory)])
    }
    for result in results {
      let error = checkpointError { try result.get() }
      #expect(error?.code == .diskFull)
      // Rank 1 alone, unless it left no room for rank 0's few bytes either.
      #expect(error?.rank != 0)
    }
    #expect(folder.names == ["step-00000100"], "what was written of it has made room again")
    #expect(try CheckpointFolder(path: path).latest().manifest.progress.step == 100)
  }
}
