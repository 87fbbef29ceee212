import Charts
import Foundation
import Tutti
import TuttiTraining

/// What a few steps in the middle of a run spend their time on, on every rank.
///
/// Invariant: outside those steps nothing is recorded, and recording is a comparison.
struct StepTimeline {
  /// Steps that are recorded; empty when nobody wants to see them.
  let recorded: Range<Int>
  private static let stepsMax = 3

  private var record = Record()
  private var isRecording = false
  private var origin = ContinuousClock.now
  private static let barriers = 15

  /// What ranks tell each other.
  private struct Record: Codable {
    var spans: [Span] = []
    /// When barriers ended. On all ranks these are the same moments, except for how soon each was woken; the clocks of
    /// hosts differ.
    var barriers: [Double] = []
  }

  private struct Span: Codable {
    var track: String
    var name: String
    var kind: String
    var start: Double
    var end: Double
  }

  /// - Parameter steps: The steps that this process makes.
  init(_ steps: Range<Int>, isWanted: Bool) {
    let count = isWanted ? min(Self.stepsMax, steps.count) : 0
    let first = steps.lowerBound + (steps.count - count) / 2
    recorded = first..<first + count
  }

  /// Turns recording on or off before a step. Every rank calls this.
  mutating func begin(step: Int, _ communicator: Communicator) throws(TuttiError) {
    isRecording = recorded.contains(step)
    if step == recorded.lowerBound, isRecording {
      origin = .now
      for _ in 0..<Self.barriers {
        try communicator.barrier()
        record.barriers.append((ContinuousClock.now - origin) / .seconds(1))
      }
    }
  }

  mutating func record(
    _ kind: TimelineSpan.Kind, _ name: String, on track: String = "compute", from start: ContinuousClock.Instant,
    to end: ContinuousClock.Instant
  ) {
    guard isRecording, end > start else { return }
    record.spans.append(
      Span(
        track: track, name: name, kind: kind.rawValue, start: (start - origin) / .seconds(1),
        end: (end - origin) / .seconds(1)))
  }

  /// Records what went on beside the computation, and where it had to wait.
  mutating func record(_ report: SynchronizationReport) {
    record(.waiting, "waiting", from: report.finishBegan, to: report.finishEnded)
    for (index, bucket) in report.buckets.enumerated() {
      let size = decimal(Double(bucket.bytes) / 1_048_576, bucket.bytes < 10 << 20 ? 1 : 0)
      record(
        .communication, "bucket \(index + 1): \(size) MB", on: "communication", from: bucket.started, to: bucket.ended)
    }
  }

  /// Gathers all ranks' spans on every rank. Every rank calls this.
  func gather(_ communicator: Communicator) throws -> [TimelineSpan] {
    let records = try communicator.exchange(Array(JSONEncoder().encode(record))).map {
      try JSONDecoder().decode(Record.self, from: Data($0))
    }
    return records.enumerated().flatMap { rank, record in
      // How far this rank's clock is ahead of rank 0's: the median over the barriers.
      let ahead = median(zip(record.barriers, records[0].barriers).map { $0 - $1 })
      return record.spans.map { span in
        TimelineSpan(
          track: "rank \(rank) \(span.track)", name: span.name, kind: TimelineSpan.Kind(rawValue: span.kind) ?? .other,
          start: span.start - ahead, end: span.end - ahead)
      }
    }
  }
}
