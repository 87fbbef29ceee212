import Checkpoints
import Foundation
import Testing

/// Every checkpoint that cannot be used is refused with what is wrong, and leaves memory as it was.
@Suite struct DamageTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    try write(step: 100, to: folder.path, ranks: 2)
    path = "\(folder.path)/step-00000100"
  }

  private func change(_ name: String, _ body: (inout Data) -> Void) throws {
    let url = URL(filePath: "\(path)/\(name)")
    var data = try Data(contentsOf: url)
    body(&data)
    try data.write(to: url)
  }

  private func changeManifest(_ body: (inout [String: Any]) -> Void) throws {
    try change("manifest.json") { data in
      guard var object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else { return }
      body(&object)
      data = (try? JSONSerialization.data(withJSONObject: object)) ?? Data()
    }
  }

  /// The error of reading everything; memory must not have changed.
  private func readError() -> CheckpointError? {
    let model = TestModel<Float>(isFilled: false)
    let error = checkpointError { try CheckpointFolder(path: folder.path).latest().read(into: model.allPieces) }
    #expect(model.allPieces.allSatisfy { $0.memory.allSatisfy { $0 == -1 } })
    return error
  }

  @Test func noCheckpoint() throws {
    let empty = try TemporaryFolder()
    for path in [empty.path, "\(empty.path)/nothing"] {
      let error = checkpointError { _ = try CheckpointFolder(path: path).latest() }
      #expect(error?.code == .noCheckpoint)
      #expect(error?.description.contains("\(path): has no checkpoint") == true)
    }
  }

  /// A bit anywhere: in the header, the table, the elements.
  @Test(arguments: [0, 9, 20, 33, 50, 200, -1]) func flippedBit(offset: Int) throws {
    try change("shard-1-of-2.tutti") { $0[offset < 0 ? $0.count - 1 : offset] ^= 4 }
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.path == "\(path)/shard-1-of-2.tutti")
    #expect(error?.message.contains("expected") == true)
  }

  @Test func shortShard() throws {
    var bytes = 0
    try change("shard-0-of-2.tutti") { data in
      bytes = data.count
      data.removeLast(3)
    }
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.description.contains("shard-0-of-2.tutti: has \(bytes - 3) bytes; expected \(bytes)") == true)
  }

  @Test func missingShard() throws {
    try FileManager.default.removeItem(atPath: "\(path)/shard-1-of-2.tutti")
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.description.contains("shard-1-of-2.tutti: is missing") == true)
  }

  /// The shard of another checkpoint of the same run: whole, but not this one's.
  @Test func shardOfAnotherStep() throws {
    let other = try TemporaryFolder()
    try write(step: 200, to: other.path, ranks: 2)
    let file = "\(path)/shard-1-of-2.tutti"
    try FileManager.default.removeItem(atPath: file)
    try FileManager.default.copyItem(atPath: "\(other.path)/step-00000200/shard-1-of-2.tutti", toPath: file)
    #expect(readError()?.code == .damaged)
  }

  @Test func brokenManifest() throws {
    try change("manifest.json") { $0 = $0.prefix($0.count / 2) }
    #expect(readError()?.code == .damaged)
    try change("manifest.json") { $0 = Data("[]".utf8) }
    #expect(readError()?.code == .damaged)
  }

  @Test func newerFormat() throws {
    try changeManifest {
      $0["formatVersion"] = 2
      // Whatever a later version has there.
      $0["shards"] = "elsewhere"
    }
    let error = readError()
    #expect(error?.code == .newerFormat)
    #expect(error?.message.contains("format 2") == true)
  }

  /// A manifest that asks for more than the shards hold.
  @Test func incompleteShards() throws {
    try changeManifest { object in
      guard var identity = object["identity"] as? [String: Any] else { return }
      identity["states"] = ["mean", "square", "third"]
      object["identity"] = identity
    }
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.message.contains("optimizer state 2 of 'first.weight'") == true)
  }

  @Test func anotherElementType() throws {
    let model = TestModel<Double>(isFilled: false)
    let error = checkpointError { try CheckpointFolder(path: folder.path).latest().read(into: model.allPieces) }
    #expect(error?.code == .foreignModel)
    #expect(error?.message.contains("float32, not float64") == true)
  }
}
