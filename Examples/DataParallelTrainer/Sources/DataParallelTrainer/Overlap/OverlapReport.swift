import Foundation

/// What an overlap measurement has shown, and what follows from it. Times are in seconds.
struct OverlapReport {
  struct Bucket: Codable, Equatable {
    var bytes: Int
    /// When the bucket was ready in the computation alone, counted from the beginning of that.
    var ready: Double
  }

  /// The times of one round, on the slowest rank. Times drift, so only those of one round are compared.
  struct Round: Codable, Equatable {
    /// Forward and backward alone.
    var computation: Double
    /// All buckets, ready at once.
    var communication: Double
    /// Steps with and without overlap.
    var overlapped: Double
    var sequential: Double
  }

  /// A number with the limit it is held to.
  struct Bar: Codable {
    var name: String
    var value: Double
    /// `at least 0.8` or `at most 1.1`.
    var limit: String
    var isMet: Bool

    static func atLeast(_ limit: Double, _ name: String, _ value: Double) -> Bar {
      Bar(name: name, value: value, limit: "at least \(limit)", isMet: value >= limit)
    }

    static func atMost(_ limit: Double, _ name: String, _ value: Double) -> Bar {
      Bar(name: name, value: value, limit: "at most \(limit)", isMet: value <= limit)
    }
  }

  var ranks: Int
  var transport: String
  var parameters: Int
  var rows: Int
  /// The rounds, at least one.
  var rounds: [Round]
  /// The buckets, in the order in which they become ready.
  var buckets: [Bucket]
  /// The bytes of AdamW's state on a rank, without and with ZeRO-1.
  var stateBytes: Int
  var shardedStateBytes: Int

  var gradientBytes: Int { parameters * MemoryLayout<Float>.stride }

  var computation: Double { median(rounds.map(\.computation)) }
  var communication: Double { median(rounds.map(\.communication)) }
  var overlapped: Double { median(rounds.map(\.overlapped)) }
  var sequential: Double { median(rounds.map(\.sequential)) }

  /// How much of the communication was hidden: 0 when a step takes as long as both after each other, 1 when it takes as long
  /// as the computation. The median over the rounds.
  var overlap: Double { median(rounds.map { 1 - ($0.overlapped - $0.computation) / $0.communication }) }

  /// The time of a step with overlap, divided by the least time in which all buckets but the first could be hidden. The
  /// median over the rounds.
  var stepRatio: Double {
    median(
      rounds.map {
        $0.overlapped / (max($0.computation, $0.communication) + firstBucket * $0.communication / communication)
      })
  }

  /// How short a step could be: each bucket goes when it is ready and the one before is done, and takes its share of the
  /// communication.
  var possibleStep: Double {
    let total = Double(buckets.reduce(0) { $0 + $1.bytes })
    let end = buckets.reduce(0.0) { max($0, $1.ready) + communication * Double($1.bytes) / total }
    return max(end, computation)
  }

  var possibleOverlap: Double { 1 - (possibleStep - computation) / communication }

  /// The first bucket's share of the communication.
  var firstBucket: Double {
    communication * Double(buckets.first?.bytes ?? 0) / Double(max(1, buckets.reduce(0) { $0 + $1.bytes }))
  }

  var bars: [Bar] {
    [
      .atLeast(60, "gradients, MB", Double(gradientBytes) / 1e6),
      .atLeast(0.8, "overlap / what is possible", overlap / possibleOverlap),
      .atMost(
        1.1, "step / (max(computation, communication) + first bucket)",
        stepRatio),
      // Shards end at cache lines, so that one can be a little larger than its share.
      .atMost(
        (1000 / Double(ranks)).rounded(.up) / 1000 + 0.01, "optimizer state with ZeRO-1 / without",
        Double(shardedStateBytes) / Double(stateBytes)),
    ]
  }

  // MARK: As text

  var table: String {
    func milliseconds(_ seconds: Double) -> String { padded(decimal(1000 * seconds, 1), 10) + " ms" }
    var lines = [
      "\(ranks) ranks over \(transport), \(rows) rows a rank, \(decimal(Double(gradientBytes) / 1e6, 1)) MB of gradients in "
        + "\(buckets.count) buckets, medians of \(rounds.count) rounds",
      "",
      "computation alone        \(milliseconds(computation))   forward and backward",
      "communication alone      \(milliseconds(communication))   all gradients ready at once",
      "step without overlap     \(milliseconds(sequential))",
      "step with overlap        \(milliseconds(overlapped))",
      "step that is possible    \(milliseconds(possibleStep))   each bucket sent once it is ready and the one before done",
      "first bucket             \(milliseconds(firstBucket))   its share of the communication",
      "overlap                  \(padded(decimal(overlap, 3), 10))      1 - (step - computation) / communication",
      "overlap that is possible \(padded(decimal(possibleOverlap, 3), 10))",
      "optimizer state          \(padded(decimal(Double(stateBytes) / 1e6, 1), 10)) MB   of AdamW on each rank; with ZeRO-1 "
        + "\(decimal(Double(shardedStateBytes) / 1e6, 1)) MB",
      "",
    ]
    let width = bars.map(\.name.count).max() ?? 0
    for bar in bars {
      let name = bar.name + String(repeating: " ", count: width - bar.name.count)
      lines.append("\(bar.isMet ? "met   " : "missed")  \(name)  \(padded(decimal(bar.value, 3), 7))  \(bar.limit)")
    }
    return lines.joined(separator: "\n")
  }

  var json: String {
    get throws {
      struct Report: Encodable {
        var formatVersion = 1
        var ranks: Int
        var transport: String
        var rowsPerRank: Int
        var rounds: [Round]
        var gradientBytes: Int
        var computationSeconds: Double
        var communicationSeconds: Double
        var overlappedStepSeconds: Double
        var sequentialStepSeconds: Double
        var possibleStepSeconds: Double
        var firstBucketSeconds: Double
        var overlap: Double
        var possibleOverlap: Double
        var buckets: [Bucket]
        var stateBytes: Int
        var shardedStateBytes: Int
        var bars: [Bar]
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(
        decoding: try encoder.encode(
          Report(
            ranks: ranks, transport: transport, rowsPerRank: rows, rounds: rounds, gradientBytes: gradientBytes,
            computationSeconds: computation, communicationSeconds: communication, overlappedStepSeconds: overlapped,
            sequentialStepSeconds: sequential, possibleStepSeconds: possibleStep, firstBucketSeconds: firstBucket,
            overlap: overlap,
            possibleOverlap: possibleOverlap, buckets: buckets, stateBytes: stateBytes, shardedStateBytes: shardedStateBytes,
            bars: bars)), as: UTF8.self)
    }
  }
}
