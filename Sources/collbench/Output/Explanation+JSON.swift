import Tutti
import TuttiChoice
import TuttiTopology

/// An explanation for programs. Keys are a contract, as those of results are.
extension Explanation {
  /// - Parameters:
  ///   - topology: The described network that the times are of.
  ///   - tuning: What is known of the machines.
  func json(_ topology: Topology?, _ tuning: TuningInfo) -> JSONValue {
    .object([
      ("version", .integer(reportVersion)), ("tutti", .string(toolVersion)), ("collective", .string(collective.name)),
      ("bytes", .integer(Int(clamping: bytes))), ("ranks", .integer(grouping.rankCount)),
      (
        "topology",
        topology.map { .object([("name", .string($0.name)), ("hash", .string($0.hash))]) } ?? .null
      ),
      ("levels", .array(levels.map { .string($0) })),
      ("foldClass", .optional(fold)), ("tuning", tuning.json),
      ("candidates", .array(candidates.map(json))),
      ("chosen", .string(chosen)), ("reason", .string(reason)),
    ])
  }

  private func json(_ candidate: Candidate) -> JSONValue {
    let prediction = candidate.prediction
    return .object([
      ("name", .string(candidate.name)), ("defined", .bool(candidate.isDefined)),
      ("obstacle", .optional(candidate.obstacle?.rawValue)), ("foldClass", .optional(candidate.fold)),
      ("timeMicroseconds", .optional(candidate.microseconds)), ("measured", .bool(candidate.measured != nil)),
      ("predictedMicroseconds", .optional(prediction?.microseconds)), ("boundBy", .optional(prediction?.bound.text)),
      ("rounds", .optional(prediction?.rounds)), ("latencyMicroseconds", .optional(prediction?.latency)),
      ("fillMicroseconds", .optional(prediction?.filling)),
      // By level, as `levels` names them.
      ("linkMicroseconds", prediction.map { .array($0.links.map { .number($0) }) } ?? .null),
      ("copyMicroseconds", .optional(prediction?.copying)), ("combineMicroseconds", .optional(prediction?.combining)),
    ])
  }
}
