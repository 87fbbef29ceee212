// How lowering turns messages into extents and data dependencies.

extension Lowering {
  // MARK: Messages

  /// A chunk range that was checked, and its memory.
  struct Resolved: Equatable {
    var memory: Plan.Memory
    var chunks: Range<Int>
  }

  func resolve(_ message: Message, namesMemory: Bool = true) throws(LoweringError) -> [Resolved] {
    guard message.ranges.lowerBound >= 0, message.ranges.upperBound <= schedule.ranges.count else {
      throw refuse(.bounds, "a slice of \(schedule.ranges.count) ranges", "\(message.ranges)")
    }
    var result: [Resolved] = []
    result.reserveCapacity(message.ranges.count)
    for range in schedule.ranges[message.ranges] {
      guard range.chunks.lowerBound >= 0, range.chunks.upperBound <= schedule.chunkCount else {
        throw refuse(.bounds, "chunks in 0..<\(schedule.chunkCount)", "\(range.chunks)")
      }
      let memory: Plan.Memory
      switch range.buffer {
      case .input:
        guard !namesMemory || isWithin(range.chunks, inputChunks) else { throw outside("input", inputChunks, range.chunks) }
        memory = inPlace ? 1 : 0
      case .output:
        guard !namesMemory || isWithin(range.chunks, outputChunks) else {
          throw outside("output", outputChunks, range.chunks)
        }
        memory = 1
      case .scratch(let index):
        guard !namesMemory || (0..<schedule.scratchCount).contains(index) else {
          throw refuse(.bounds, "scratch below \(schedule.scratchCount)", "scratch \(index)")
        }
        memory = namesMemory ? 2 + Plan.Memory(index) : 0
      }
      result.append(Resolved(memory: memory, chunks: range.chunks))
    }
    return result
  }

  private func isWithin(_ chunks: Range<Int>, _ held: Range<Int>) -> Bool {
    chunks.isEmpty || held.lowerBound <= chunks.lowerBound && chunks.upperBound <= held.upperBound
  }

  private func outside(_ name: String, _ held: Range<Int>, _ chunks: Range<Int>) -> LoweringError {
    refuse(
      .bounds, held.isEmpty ? "no chunk of the \(name), which this rank does not have" : "chunks of its \(name), \(held)",
      "\(chunks)", chunk: chunks.lowerBound)
  }

  func offset(_ memory: Plan.Memory, _ chunk: Int) -> UInt64 { memory == 1 ? outputOffsets[chunk] : offsets[chunk] }

  func bytes(_ memory: Plan.Memory, _ chunk: Int) -> UInt64 { offset(memory, chunk + 1) - offset(memory, chunk) }

  func bytes(_ range: Resolved) -> UInt64 {
    offset(range.memory, range.chunks.upperBound) - offset(range.memory, range.chunks.lowerBound)
  }

  func sizes(of step: Plan.Step) -> [UInt64] { step.extents.map { plan.extents[Int($0)].bytes } }

  func match(_ destination: [Resolved], _ source: [Resolved]) throws(LoweringError) {
    var index = 0
    while index < destination.count, index < source.count, bytes(destination[index]) == bytes(source[index]) { index += 1 }
    guard index == destination.count, index == source.count else {
      throw refuse(
        .sizes, "sources of \(destination.map { bytes($0) }) bytes, as the destination",
        "\(source.map { bytes($0) }) bytes")
    }
  }

  mutating func appendExtents(_ ranges: [Resolved]) {
    for range in ranges where bytes(range) > 0 {
      let base = plan.buffers[Int(range.memory)].base
      plan.extents.append(
        Plan.Extent(
          memory: range.memory, offset: offset(range.memory, range.chunks.lowerBound) - base, bytes: bytes(range)))
    }
  }

  /// Appends extents for what is stored nowhere: each has a position of its own that is never used twice.
  private mutating func appendForwarded(_ ranges: [Resolved]) {
    for range in ranges where bytes(range) > 0 {
      plan.extents.append(
        Plan.Extent(memory: plan.forwardedMemory, offset: plan.forwardedBytes, bytes: bytes(range)))
      plan.forwardedBytes += bytes(range)
    }
  }

  mutating func makeStep(
    _ kind: Plan.Kind, _ channel: Int, _ ranges: [Resolved], isForwarded: Bool = false
  ) throws(LoweringError) -> Plan.Step {
    guard (0..<schedule.channelCount).contains(channel) else {
      throw refuse(.address, "a channel below \(schedule.channelCount)", "\(channel)")
    }
    var step = Plan.Step(kind: kind, channel: UInt8(channel), origin: Int32(origin))
    let first = Int32(plan.extents.count)
    if isForwarded { appendForwarded(ranges) } else { appendExtents(ranges) }
    step.extents = first..<Int32(plan.extents.count)
    var segments: UInt64 = 0
    for index in step.extents {
      let size = plan.extents[Int(index)].bytes
      step.bytes += size
      segments += Plan.segmentCount(ofExtent: size, segmentBytes: plan.segmentBytes)
    }
    step.segmentCount = max(segments, 1)
    return step
  }

  /// Cuts a combine of several operands into parts, in each of which the same ones are contributions.
  mutating func addParts(to step: inout Plan.Step, _ ranges: [Resolved]) {
    guard let contributions, step.sources.count > 1 else { return }
    let operands = contributions.operands(of: origin)
    let first = Int32(plan.parts.count)
    var end: UInt64 = 0
    var previous: [Bool] = []
    for (place, chunk) in ranges.flatMap({ range in range.chunks.map { (range.memory, $0) } }).enumerated() {
      let size = bytes(chunk.0, chunk.1)
      if size == 0 { continue }
      end += size
      let divided = operands.map { $0.indices.contains(place) && $0[place] }
      if divided == previous {
        plan.parts[plan.parts.count - 1].end = end
        continue
      }
      previous = divided
      plan.parts.append(
        Plan.Part(
          end: end, divisions: Int32(plan.divisions.count),
          dividesSum: contributions.sumsAreInRange && step.completes && divided.allSatisfy(\.self)))
      plan.divisions += divided
    }
    step.parts = first..<Int32(plan.parts.count)
  }

  // MARK: Dependencies

  /// Makes a step wait for whoever wrote what it reads. A step that moves no bytes waits as well for whoever wrote the
  /// chunks it names: that is how empty messages synchronise.
  mutating func read(_ ranges: [Resolved], by step: Int32, isSend: Bool, empty: Bool) {
    var position: UInt64 = 0
    for range in ranges {
      for chunk in range.chunks {
        let size = bytes(range.memory, chunk)
        let writer = hazards.lastWriter(range.memory, chunk)
        if size > 0 {
          if writer >= 0 {
            wasRead[Int(writer)] = true
            if plan.steps[Int(writer)].fusedSend != step { wasReadUnfused[Int(writer)] = true }
          }
          hazards.read(range.memory, chunk, by: step, isSend: isSend, at: position, bytes: size, into: &runs)
        } else if empty, writer >= 0 {
          predecessors.append(writer)
        }
        position += size
      }
    }
  }

  mutating func write(_ ranges: [Resolved], by step: Int32) {
    var position: UInt64 = 0
    for range in ranges {
      for chunk in range.chunks {
        let size = bytes(range.memory, chunk)
        hazards.write(range.memory, chunk, by: step, at: position, bytes: size, into: &runs)
        position += size
      }
    }
  }

  /// Notes the send in the combine whose whole destination it is the first to read.
  mutating func fuse(_ step: inout Plan.Step, _ number: Int32, _ ranges: [Resolved]) {
    guard step.bytes > 0, let start = ranges.first(where: { bytes($0) > 0 }) else { return }
    let first = start.chunks.first { bytes(start.memory, $0) > 0 }!
    let writer = Int(hazards.lastWriter(start.memory, first))
    guard writer >= 0, plan.steps[writer].kind == .combine, !wasRead[writer] else { return }
    guard step.extents.count == plan.steps[writer].extents.count,
      zip(step.extents, plan.steps[writer].extents).allSatisfy({ plan.extents[Int($0)] == plan.extents[Int($1)] })
    else { return }
    for range in ranges {
      for chunk in range.chunks where bytes(range.memory, chunk) > 0 {
        guard hazards.lastWriter(range.memory, chunk) == writer else { return }
      }
    }
    plan.steps[writer].fusedSend = number
  }

  /// Marks the destination's chunks, which must not overlap one another.
  mutating func markDestination(_ ranges: [Resolved], _ step: Int32) throws(LoweringError) {
    var position: UInt64 = 0
    for range in ranges {
      for chunk in range.chunks {
        let cell = Int(range.memory) * schedule.chunkCount + chunk
        guard stamp[cell] != step else {
          throw refuse(.overlap, "each chunk written once by the step", "chunk \(chunk) written twice", chunk: chunk)
        }
        stamp[cell] = step
        stampPosition[cell] = position
        position += bytes(range.memory, chunk)
      }
    }
  }

  /// Refuses a source that overlaps the destination without being it: a shifted part would be overwritten before it is read.
  func checkOverlap(_ source: [Resolved], _ step: Int32) throws(LoweringError) {
    var position: UInt64 = 0
    for range in source {
      for chunk in range.chunks {
        let cell = Int(range.memory) * schedule.chunkCount + chunk
        let size = bytes(range.memory, chunk)
        guard size == 0 || stamp[cell] != step || stampPosition[cell] == position else {
          throw refuse(
            .overlap, "a source that is the destination or apart from it", "chunk \(chunk) at another position",
            chunk: chunk)
        }
        position += size
      }
    }
  }
}
