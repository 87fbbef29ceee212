import TuttiAlgorithms
import TuttiTopology

/// What a candidate's time consists of, in microseconds.
package struct Prediction: Hashable, Sendable {
  /// What most of the time goes into.
  package enum Bound: Hashable, Sendable {
    /// Rounds and messages, whatever they carry.
    case latency
    /// The links at the level of this name.
    case link(String)
    /// What the ranks of a host share: processors that copy, or memory.
    case copying
    case combining
  }

  package let microseconds: Double
  /// Rounds and messages, whatever they carry.
  package let latency: Double
  /// The first segments of messages, on their way through ranks in between: how long pipelines take to fill.
  package let filling: Double
  /// By level: how long its links are busy.
  package let links: [Double]
  package let copying: Double
  package let combining: Double
  package let bound: Bound
  /// The rounds of all levels together.
  package let rounds: Double
  /// What it would take if nothing overlapped.
  let work: Double

  /// Predicts by levels.
  ///
  /// Data travels in segments, so that rounds and phases overlap: links, copies and combines are busy at the same time, and
  /// the slowest decides. What is short of two segments does not overlap.
  init(_ traffic: Traffic, _ terms: ChoiceTerms, _ levels: [LevelTerms], bytes: Double, segmentBytes: Double) {
    let processors = Double(terms.processors)
    var (rounds, fill, serial) = (0.0, 0.0, 0.0)
    var (busiest, host, shared) = (0.0, 0.0, 0.0)
    var segments = Double.infinity
    var links: [Double] = []
    var (ownCopies, hostCopies, fullRounds) = (0.0, 0.0, 0.0)
    for (own, level) in zip(traffic.levels, levels) {
      rounds += own.rounds * level.round
      fullRounds += own.rounds
      busiest += own.messages * level.message
      host += own.hostMessages * level.message
      shared += own.hostMessages * level.sharedMessage
      if own.messages > 0, own.volume > 0 {
        let messageBytes = bytes * own.volume / own.messages
        segments = min(segments, max(1, messageBytes / segmentBytes))
        // The rounds of the busiest rank's own messages are in its volume.
        fill += max(0, own.rounds - own.messages) * min(segmentBytes, messageBytes) * level.firstByte
      }
      links.append(bytes * max(own.outward * level.byte, own.exit * level.exitByte))
      serial += bytes * own.volume * max(level.byte, level.exitByte)
      ownCopies += bytes * own.volume * level.copyByte
      hostCopies += bytes * own.hostVolume * level.sharedByte
    }
    let copying = max(ownCopies, hostCopies)
    let combining = bytes * max(traffic.combined, traffic.hostCombined / processors) * terms.combineByte
    latency = rounds + max(busiest, host / processors) + shared
    let slowest = max(links.max() ?? 0, copying, combining)
    let alone = max(0, serial + copying + combining - slowest)
    microseconds = latency + fill + slowest + (segments.isFinite ? alone / segments : 0)
    work = latency + fill + serial + copying + combining
    filling = fill
    if latency >= slowest + fill {
      bound = .latency
    } else if let level = links.indices.first(where: { links[$0] == slowest }) {
      bound = .link(levels[level].name)
    } else {
      bound = copying == slowest ? .copying : .combining
    }
    self.rounds = fullRounds
    self.links = links
    self.copying = copying
    self.combining = combining
  }

  /// Predicts by the terms of one medium.
  init(
    _ cost: AlgorithmCost, _ medium: Medium, _ terms: MediumTerms, bytes: Double, segmentBytes: Double, parallel: Int
  ) {
    let parts = cost.levels.map {
      terms.prediction($0, bytes: bytes, segmentBytes: segmentBytes, parallel: parallel)
    }
    let transfer = parts.reduce(0) { $0 + $1.transfer }
    microseconds = parts.reduce(0) { $0 + $1.microseconds }
    latency = parts.reduce(0) { $0 + $1.latency }
    work = microseconds
    filling = parts.reduce(0) { $0 + $1.filling }
    rounds = cost.levels.reduce(0) { $0 + Double($1.rounds) }
    links = [medium.crossesHosts ? transfer : 0]
    copying = medium.crossesHosts ? 0 : transfer
    combining = 0
    bound = latency >= transfer + filling ? .latency : medium.crossesHosts ? .link(medium.rawValue) : .copying
  }
}
