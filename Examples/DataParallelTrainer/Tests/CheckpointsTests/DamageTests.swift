import Foundation
import Testing

@testable import Checkpoints

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

  /// Writes a manifest that was changed, and has the SHA-256 of what it is now where it still is a manifest of this format.
  private func changeManifest(_ body: (inout [String: Any]) -> Void) throws {
    try change("manifest.json") { data in
      guard var object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else { return }
      body(&object)
      data = (try? JSONSerialization.data(withJSONObject: object)) ?? Data()
      if let sealed = try? JSONDecoder().decode(CheckpointManifest.self, from: data).encoded() { data = sealed }
    }
  }

  /// As ``changeManifest(_:)``, in one of its objects.
  private func changeManifest(_ key: String, _ body: (inout [String: Any]) -> Void) throws {
    try changeManifest { object in
      guard var inner = object[key] as? [String: Any] else { return }
      body(&inner)
      object[key] = inner
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
      // `sample`, which reads it too, has no such option.
      #expect(error?.message.contains("--resume") == false)
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

  /// One digit or space of the manifest, in any of its fields, or its own SHA-256 gone.
  @Test(arguments: [
    ("\"step\" : 100", "\"step\" : 108"), ("\"seed\" : 42", "\"seed\" : 43"), ("\"width\" : \"7\"", "\"width\" : \"8\""),
    ("\"bestMetric\" : 0.5", "\"bestMetric\" : 0.25"), ("0.1", "0.2"), ("\"rankCount\" : 2", "\"rankCount\" :  2"),
    ("\"mean\"", "\"main\""), ("\n  \"sha256\" : \"", "\n  \"sha256\" : \"0"), ("\n  \"sha256\" :", "\n  \"sha\" :"),
  ])
  func changedManifest(old: String, new: String) throws {
    try change("manifest.json") { data in
      let text = String(decoding: data, as: UTF8.self)
      #expect(text.contains(old))
      data = Data(text.replacing(old, with: new).utf8)
    }
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.path == "\(path)/manifest.json")
    #expect(error?.message.contains("changed") == true, "\(error?.description ?? "nothing")")
  }

  /// The SHA-256 in the manifest is the one that people can compute, as its docstring says.
  @Test func manifestHashByHand() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", #"sed 's/^  "sha256" : ".*"/  "sha256" : ""/' "$0"/manifest.json | sha256sum"#, path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(text.prefix(64) == (try CheckpointManifest.read(folder: path).sha256))
  }

  /// A manifest whole in itself, and not of the shards beside it.
  @Test func manifestOfAnotherCheckpoint() throws {
    // Out of the folder that has a step in its name, so that only the shards tell.
    let copy = "\(folder.path)/best"
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    #expect(try Checkpoint(folder: copy).manifest.progress.step == 100)
    try changeManifest("progress") { $0["step"] = 108 }
    #expect(
      readError()?.description.contains("manifest.json: is of step 108, and its folder has the name of step 100") == true)

    try FileManager.default.removeItem(atPath: "\(copy)/manifest.json")
    try FileManager.default.copyItem(atPath: "\(path)/manifest.json", toPath: "\(copy)/manifest.json")
    let model = TestModel<Float>(isFilled: false)
    let error = checkpointError { try Checkpoint(folder: copy).read(into: model.allPieces) }
    #expect(error?.code == .damaged)
    #expect(
      error?.message.contains("its step is 100, and its manifest says 108") == true, "\(error?.description ?? "nothing")")
    #expect(model.allPieces.allSatisfy { $0.memory.allSatisfy { $0 == -1 } })
  }

  /// The shards of the manifest in another order, or fewer of them.
  @Test func shardsOfOtherRanks() throws {
    try changeManifest { $0["shards"] = ($0["shards"] as? [Any]).map { Array($0.reversed()) } }
    var error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.path == "\(path)/shard-1-of-2.tutti")
    #expect(error?.message.contains("its rank is 1, and its manifest says 0") == true, "\(error?.description ?? "nothing")")
    // The first is now that of rank 1.
    try changeManifest { object in
      object["shards"] = (object["shards"] as? [Any]).map { Array($0.suffix(1)) }
      object["rankCount"] = 1
    }
    error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.message.contains("its number of ranks is 2, and its manifest says 1") == true)
  }

  /// Sizes that no memory has, and whose product no integer has.
  @Test(arguments: [[1 << 62, 4], [-1], [7, -5], [1 << 41], [1 << 30, 1 << 30], [Int.max, 0]])
  func absurdShape(shape: [Int]) throws {
    try changeManifest("identity") { identity in
      guard var parameters = identity["parameters"] as? [[String: Any]] else { return }
      parameters[0]["shape"] = shape
      identity["parameters"] = parameters
    }
    let error = readError()
    #expect(error?.code == .damaged)
    #expect(error?.message.contains("has a parameter 'first.weight' of shape \(shape), which no model has") == true)
  }

  /// A program that makes another model of the same sizes.
  @Test func otherParameters() throws {
    let checkpoint = try CheckpointFolder(path: folder.path).latest()
    var parameters = TestModel<Float>.parameters
    try checkpoint.check(parameters: parameters)
    parameters[4] = CheckpointParameter(name: "last.weight", shape: [3, 12])
    for (made, says) in [
      (parameters, "'last.weight' of shape [3, 11] where this model has 'last.weight' of shape [3, 12]"),
      (parameters.dropLast(), "it has 5 parameters, not 4"),
    ] as [([CheckpointParameter], String)] {
      let error = checkpointError { try checkpoint.check(parameters: made) }
      #expect(error?.code == .foreignModel)
      #expect(error?.message.contains(says) == true, "\(error?.description ?? "nothing")")
    }
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
    try changeManifest("identity") { $0["states"] = ["mean", "square", "third"] }
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
