import Checkpoints
import Foundation
import Testing

/// Whatever a killed run leaves is not taken for a checkpoint, and the next run goes on from the one before.
@Suite struct InterruptionTests {
  /// Everything a kill can leave behind, in the order in which it comes to be, of a write by two ranks.
  enum Moment: CaseIterable, Sendable {
    case folderMade, oneShardBegun, oneShard, bothShards, manifestBegun, manifest, renamed, pruning, pruned
  }

  /// Makes a folder with checkpoint 100, and what is left of the write of checkpoint 200.
  private func leave(_ moment: Moment) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try write(step: 100, to: folder.path)
    let whole = try TemporaryFolder()
    try write(step: 200, to: whole.path)
    let (files, source) = (FileManager.default, "\(whole.path)/step-00000200")
    let partial = "\(folder.path)/step-00000200.partial"
    func copy(_ names: String...) throws {
      for name in names { try files.copyItem(atPath: "\(source)/\(name)", toPath: "\(partial)/\(name)") }
    }
    func begin(_ name: String) throws {
      let data = try #require(files.contents(atPath: "\(source)/\(name)"))
      #expect(files.createFile(atPath: "\(partial)/\(name)", contents: data.prefix(data.count / 2)))
    }
    try files.createDirectory(atPath: partial, withIntermediateDirectories: false)
    switch moment {
    case .folderMade: break
    case .oneShardBegun: try begin("shard-1-of-2.tutti")
    case .oneShard: try copy("shard-1-of-2.tutti")
    case .bothShards: try copy("shard-0-of-2.tutti", "shard-1-of-2.tutti")
    case .manifestBegun:
      try copy("shard-0-of-2.tutti", "shard-1-of-2.tutti")
      try begin("manifest.json")
    case .manifest: try copy("shard-0-of-2.tutti", "shard-1-of-2.tutti", "manifest.json")
    case .renamed, .pruning, .pruned:
      try copy("shard-0-of-2.tutti", "shard-1-of-2.tutti", "manifest.json")
      try files.moveItem(atPath: partial, toPath: "\(folder.path)/step-00000200")
      if moment == .renamed { break }
      let old = "\(folder.path)/step-00000100"
      try files.moveItem(atPath: old, toPath: "\(old).partial")
      try files.removeItem(atPath: "\(old).partial/\(moment == .pruning ? "shard-0-of-2.tutti" : "")")
    }
    return folder
  }

  @Test(arguments: Moment.allCases) func theLastWholeOneIsTaken(moment: Moment) throws {
    let folder = try leave(moment)
    let expected = [.renamed, .pruning, .pruned].contains(moment) ? 200 : 100
    let checkpoint = try CheckpointFolder(path: folder.path).latest()
    #expect(checkpoint.manifest.progress.step == expected)
    let model = TestModel<Float>(isFilled: false)
    try checkpoint.read(into: model.allPieces)
    #expect(model.wrongElements(rank: 0, of: 1) == 0)
  }

  @Test(arguments: Moment.allCases) func theNextWriteGoesOn(moment: Moment) throws {
    let folder = try leave(moment)
    let last = try CheckpointFolder(path: folder.path).latest().manifest.progress.step
    try write(step: last + 100, to: folder.path, ranks: 3, keep: 1)
    #expect(folder.names == [CheckpointFolder.name(step: last + 100)], "nothing of the interrupted one is left")
  }

  @Test func onlyAnInterruptedOne() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      atPath: "\(folder.path)/step-00000100.partial", withIntermediateDirectories: false)
    let error = checkpointError { _ = try CheckpointFolder(path: folder.path).latest() }
    #expect(error?.code == .interrupted)
    #expect(error?.description.contains("step-00000100.partial: was interrupted") == true)
  }

  /// A folder with a final name but no manifest: somebody copied it halfway.
  @Test func withoutManifest() throws {
    let folder = try TemporaryFolder()
    try write(step: 100, to: folder.path)
    try write(step: 200, to: folder.path)
    let manifest = "\(folder.path)/step-00000200/manifest.json"
    try FileManager.default.removeItem(atPath: manifest)
    #expect(try CheckpointFolder(path: folder.path).latest().manifest.progress.step == 100)
    let error = checkpointError { _ = try Checkpoint(folder: "\(folder.path)/step-00000200") }
    #expect(error?.code == .interrupted)
    #expect(error?.message.contains("manifest.json") == true)

    // Nobody goes on from the older one as if the newer were not there.
    let path = folder.path
    let results = withRanks(2) { rank, exchange in
      let store = CheckpointStore(
        folder: path, identity: TestModel<Float>(isFilled: false).identity, keep: 1, rank: rank, rankCount: 2,
        exchange: exchange)
      try store.prepare(lastStep: try store.latest().manifest.progress.step)
    }
    for result in results {
      let error = checkpointError { try result.get() }
      #expect(error?.code == .interrupted)
      #expect(error?.path == "\(path)/step-00000200")
      #expect(error?.message.contains("Remove this folder") == true)
    }
    try FileManager.default.removeItem(atPath: "\(path)/step-00000100")
    let alone = checkpointError { _ = try CheckpointFolder(path: path).latest() }
    #expect(alone?.code == .interrupted)
    #expect(alone?.path == "\(path)/step-00000200")
    #expect(alone?.message.contains("Remove this folder") == true)
  }

  /// One rank dies in the middle of a write: the others get its exchange's error, and nothing looks like a checkpoint.
  @Test(arguments: 0..<3) func aRankDies(stage: Int) throws {
    struct Death: Error {}
    let folder = try TemporaryFolder()
    let path = folder.path
    try write(step: 100, to: path)
    let results = withRanks(3) { rank, exchange in
      let model = TestModel<Float>(isFilled: true)
      var stages = 0
      let store = CheckpointStore(folder: path, identity: model.identity, keep: 1, rank: rank, rankCount: 3) { bytes in
        if rank == 2, stages == stage { throw Death() }
        stages += 1
        return try exchange(bytes)
      }
      try store.write(progress(200), model.pieces(rank: rank, of: 3))
    }
    for (rank, result) in results.enumerated() {
      #expect(throws: (any Error).self, "rank \(rank)") { try result.get() }
    }
    // At the last stage rank 0 has committed, and only the news of it is lost.
    #expect(try CheckpointFolder(path: path).latest().manifest.progress.step == (stage == 2 ? 200 : 100))
  }
}
