import Checkpoints
import Foundation

/// Parameters and optimizer states with values that tell where they belong.
final class TestModel<Element: CheckpointElement & BinaryFloatingPoint> {
  let identity: CheckpointIdentity
  /// By parameter, then values and states.
  private var memory: [[UnsafeMutableBufferPointer<Element>]] = []

  static var parameters: [CheckpointParameter] {
    [
      CheckpointParameter(name: "first.weight", shape: [7, 5]), CheckpointParameter(name: "first.bias", shape: [7]),
      CheckpointParameter(name: "empty", shape: [0, 3]), CheckpointParameter(name: "last.scale", shape: []),
      CheckpointParameter(name: "last.weight", shape: [3, 11]),
    ]
  }

  init(states: [String] = ["mean", "square"], name: String = "test", isFilled: Bool) {
    identity = CheckpointIdentity(
      model: name, configuration: ["width": "7"], elementType: Element.checkpointName, parameters: Self.parameters,
      states: states)
    for (index, parameter) in Self.parameters.enumerated() {
      memory.append(
        (0...states.count).map { part in
          let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: parameter.count)
          for element in 0..<parameter.count {
            buffer.initializeElement(at: element, to: isFilled ? Self.value(index, part, element) : -1)
          }
          return buffer
        })
    }
  }

  deinit { memory.joined().forEach { $0.deallocate() } }

  /// Exact in both types.
  static func value(_ parameter: Int, _ part: Int, _ element: Int) -> Element {
    Element(parameter * 4096 + part * 1024 + element) / 8
  }

  /// Ranges of all parameters and states whose elements, counted over all parameters, lie in a share: uneven, so that cuts
  /// lie anywhere.
  func pieces(rank: Int, of rankCount: Int) -> [CheckpointPiece<Element>] {
    let total = Self.parameters.reduce(0) { $0 + $1.count }
    let cuts = (0...rankCount).map { $0 == rankCount ? total : total * $0 * $0 / (rankCount * rankCount) }
    var start = 0
    return Self.parameters.indices.flatMap { parameter -> [CheckpointPiece<Element>] in
      let count = Self.parameters[parameter].count
      defer { start += count }
      let own = (cuts[rank]..<cuts[rank + 1]).clamped(to: start..<start + count)
      let range = own.lowerBound - start..<own.upperBound - start
      return memory[parameter].enumerated().map { part, buffer in
        CheckpointPiece(
          parameter: parameter, part: part == 0 ? .values : .state(part - 1), range: range,
          memory: UnsafeMutableBufferPointer(rebasing: buffer[range]))
      }
    }
  }

  /// Everything, in one piece for each parameter and part.
  var allPieces: [CheckpointPiece<Element>] { pieces(rank: 0, of: 1) }

  /// Elements that do not have the value they must have, of the pieces of a rank.
  func wrongElements(rank: Int, of rankCount: Int) -> Int {
    pieces(rank: rank, of: rankCount).reduce(0) { sum, piece in
      let part = if case .state(let index) = piece.part { index + 1 } else { 0 }
      return sum + piece.range.count { piece.memory[$0 - piece.range.lowerBound] != Self.value(piece.parameter, part, $0) }
    }
  }
}

/// A folder that is gone at the end of the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "checkpoints-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// All but the lock, which a run leaves.
  var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0 != ".lock" }.sorted()
  }
}

func progress(_ step: Int) -> CheckpointProgress {
  CheckpointProgress(
    step: step, seed: 42, samplePosition: 32 * step, hyperParameters: ["learningRate": "0.1"], readyOrder: [4, 3, 2, 1, 0],
    bestMetric: 0.5)
}

/// Writes a checkpoint with as many ranks.
func write<Element: CheckpointElement & BinaryFloatingPoint>(
  _: Element.Type = Float.self, step: Int, to folder: String, ranks: Int = 2, keep: Int = 3, name: String = "test"
) throws {
  let results = withRanks(ranks) { rank, exchange in
    let model = TestModel<Element>(name: name, isFilled: true)
    let store = CheckpointStore(
      folder: folder, identity: model.identity, keep: keep, rank: rank, rankCount: ranks, exchange: exchange)
    try store.write(progress(step), model.pieces(rank: rank, of: ranks))
  }
  for result in results { try result.get() }
}

/// The error that a call throws.
func checkpointError(_ body: () throws -> Void) -> CheckpointError? {
  do {
    try body()
    return nil
  } catch { return error as? CheckpointError }
}
