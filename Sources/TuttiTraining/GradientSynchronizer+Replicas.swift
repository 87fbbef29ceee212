// How all ranks get the same parameters, and the check that they have them.

import Tutti
import TuttiSystem

extension GradientSynchronizer {
  /// Gives every rank the root's parameters: for initial values, or those of a checkpoint. Every rank calls this.
  ///
  /// - Throws: ``TuttiError`` as any collective does; `.invalidArgument` between the first ``markReady(_:)`` and the end of
  ///   ``finish()``.
  @available(*, noasync, message: "a broadcast blocks its thread")
  public func broadcastParameters(from root: Int = 0) throws(TuttiError) {
    try checkBetweenSteps("broadcastParameters")
    var works: [Work] = []
    for parameter in parameters {
      let memory = UnsafeMutableRawPointer(parameter.values.baseAddress ?? conductor.memory.gradients.pointer.baseAddress!)
      let values = RawMemory(memory, count: parameter.values.count, type: Element.dataType)
      works.append(try conductor.communicator.startBroadcast(values, root: root, timeout: options.timeout))
    }
    for work in works { try work.wait() }
  }

  /// Checks that all ranks have the same parameters, bit for bit. Every rank calls this.
  ///
  /// - Throws: ``TuttiError``: `.mismatch`, the same on every rank, naming the first parameter that differs and the ranks
  ///   that differ from the majority; otherwise as ``broadcastParameters(from:)`` does.
  /// - Complexity: Computes SHA-256 of all parameters, and makes an all-gather of 32 bytes.
  @available(*, noasync, message: "the check blocks its thread")
  public func checkReplicas() throws(TuttiError) {
    try checkBetweenSteps("checkReplicas")
    let digests = parameters.map { SHA256.digest(UnsafeRawBufferPointer($0.values)) }
    let own = SHA256.digest(digests.flatMap { $0 })
    if Set(try gather(own)).count == 1 { return }
    let all = try gather(digests.flatMap { $0 })
    let size = SHA256.byteCount
    for (index, parameter) in parameters.enumerated() {
      let versions = all.map { Array($0[index * size..<(index + 1) * size]) }
      if Set(versions).count == 1 { continue }
      // The reference is the version that most ranks have; among equally common ones, that of the lowest rank.
      let counts = versions.map { version in versions.count { $0 == version } }
      let reference = versions[counts.firstIndex(of: counts.max()!)!]
      let deviant = versions.indices.filter { versions[$0] != reference }
      let others = versions.indices.filter { versions[$0] == reference }
      throw TuttiError(
        FailureReport(
          .mismatch, rank: rank, peer: deviant[0],
          "replicas have diverged: '\(parameter.name)' on \(rankListText(deviant)) differs from that on \(rankListText(others))",
          advice:
            "Look for what only some ranks do to it, and whether all ranks run the same program on the same kind of processor"
        ))
    }
  }

  /// Gathers every rank's bytes, by rank; all ranks have equally many.
  private func gather(_ bytes: [UInt8]) throws(TuttiError) -> [[UInt8]] {
    let all = try conductor.communicator.allGather(bytes, timeout: options.timeout)
    return (0..<rankCount).map { Array(all[$0 * bytes.count..<($0 + 1) * bytes.count]) }
  }

  /// Scales the gradients down where their norm, over all parameters and all ranks' shards, is above a limit. Every rank
  /// calls this after ``finish()``.
  ///
  /// - Parameter maximum: The largest Euclidean norm to leave as it is; above 0.
  /// - Returns: The norm before, bit-identical on all ranks.
  /// - Throws: ``TuttiError``: `.nonFinite` on all ranks when the norm is infinite or not a number; gradients are then as
  ///   they were. Otherwise as ``broadcastParameters(from:)`` does.
  /// - SeeAlso: Pascanu, Mikolov & Bengio, ICML 2013.
  @available(*, noasync, message: "the norm blocks its thread")
  public func clipGradients(toNorm maximum: Double) throws(TuttiError) -> Double {
    try checkBetweenSteps("clipGradients")
    guard maximum > 0 else { throw refused("gradients cannot be clipped to a norm of \(maximum)", "Give one above 0") }
    let ranges = conductor.layout.buckets.indices.map(conductor.ownRange)
    let memory = conductor.memory.gradients.pointer
    var squares = ranges.map { ElementLoops.sumOfSquares(UnsafeBufferPointer(rebasing: memory[$0])) }.reduce(0, +)
    if options.sharding == .sharded {
      var sum = [squares]
      try conductor.communicator.allReduce(&sum, .sum, timeout: options.timeout)
      squares = sum[0]
    }
    let norm = squares.squareRoot()
    guard norm.isFinite else {
      throw TuttiError(
        FailureReport(
          .nonFinite, rank: rank, "the norm of the reduced gradients is \(norm)",
          advice:
            "Their sum has overflowed: average instead of adding, scale the loss down, or use a wire type of more range"))
    }
    if norm > maximum {
      for range in ranges { ElementLoops.scale(UnsafeMutableBufferPointer(rebasing: memory[range]), by: maximum / norm) }
    }
    return norm
  }
}
