import Tutti
import TuttiSchedule

/// One collective (or send and receive) on this rank, at one size and by one algorithm: its buffers, its call, and what must
/// be in the buffers after it. All that differs between collectives is here and in ``Subject``.
struct CollectiveRun {
  private let communicator: Communicator
  private let configuration: RunConfiguration
  private let elements: Elements
  /// What is asked for.
  var algorithm: AlgorithmName
  /// The number of elements of the message, or of each rank's block.
  let count: Int
  /// The ranks that send and receive exchanges with.
  private let nextRank: Int
  private let previousRank: Int
  private let pattern: TestPattern
  private let layout: BufferLayout
  /// Owns what `input` and `output` point to; calls are blocking, so nothing uses the memory longer.
  private let buffers: [RunBuffer]
  /// The buffers; nil where the rank gives nothing, or gets nothing.
  private let input: UnsafeMutableRawPointer?
  private let output: UnsafeMutableRawPointer?

  /// Allocates the buffers and writes every page of them.
  ///
  /// - Parameter algorithm: nil is `auto`.
  init(
    _ communicator: Communicator, _ configuration: RunConfiguration, _ elements: Elements, _ pattern: TestPattern,
    bytes: Int, algorithm: String?
  ) throws {
    self.communicator = communicator
    self.configuration = configuration
    self.elements = elements
    self.pattern = pattern
    self.algorithm = AlgorithmName(algorithm)
    let (rank, rankCount, size) = (communicator.rank, communicator.rankCount, elements.type.size)
    nextRank = (rank + 1) % rankCount
    previousRank = (rank + rankCount - 1) % rankCount
    count = configuration.subject.count(bytes: bytes, elementBytes: size, rankCount: rankCount)
    layout = BufferLayout(
      configuration.subject, count: count, rank: rank, rankCount: rankCount, root: configuration.root)
    // Odd numbers of bytes past a page, and different ones.
    let (inputShift, outputShift) = configuration.unaligned ? (1, 3) : (0, 0)
    func allocate(_ elements: Int) throws -> RunBuffer {
      let bytes = elements * size + max(inputShift, outputShift)
      return configuration.registered
        ? try RunBuffer(bytes: bytes, registeredWith: communicator) : try RunBuffer(bytes: bytes)
    }
    if configuration.inPlace, let shared = layout.shared {
      let buffer = try allocate(shared.count)
      buffers = [buffer]
      input = buffer.pointer + inputShift + (layout.input.lowerBound - shared.lowerBound) * size
      output = buffer.pointer + inputShift + (layout.output.lowerBound - shared.lowerBound) * size
    } else {
      let given = try layout.input.isEmpty ? nil : allocate(layout.input.count)
      let got = try layout.output.isEmpty ? nil : allocate(layout.output.count)
      buffers = [given, got].compactMap { $0 }
      input = given.map { $0.pointer + inputShift }
      output = got.map { $0.pointer + outputShift }
    }
    poison()
    fill()
  }

  /// The bytes of the message, or of all ranks' blocks.
  var bytes: Int { layout.total * elements.type.size }

  /// Makes the buffers ready for a call whose result will be checked. An input that is not in place is written only once, so
  /// that a change of it shows.
  func prepare() {
    poison()
    if configuration.inPlace { fill() }
  }

  // MARK: The call

  /// Makes the call itself, and nothing else: this is what is timed.
  @inline(__always)
  func call() throws(TuttiError) {
    let (operation, root, name) = (elements.operation, configuration.root, algorithm)
    // There is no memory where there are no elements.
    let input = input ?? Self.nowhere
    let output = output ?? Self.nowhere
    switch configuration.subject {
    case .collective(.allReduce):
      try communicator.allReduce(memory(input, count), to: memory(output, count), operation, algorithm: name)
    case .collective(.barrier):
      try communicator.barrier(algorithm: name)
    case .collective(.reduceScatter):
      try communicator.reduceScatter(memory(input, countOfAll), to: memory(output, count), operation, algorithm: name)
    case .collective(.allGather):
      try communicator.allGather(memory(input, count), to: memory(output, countOfAll), algorithm: name)
    case .collective(.broadcast):
      try communicator.broadcast(memory(self.input, count), to: memory(output, count), root: root, algorithm: name)
    case .collective(.reduce):
      try communicator.reduce(
        memory(input, count), to: memory(self.output, count), operation, root: root, algorithm: name)
    case .collective(.gather):
      try communicator.gather(memory(input, count), to: memory(self.output, countOfAll), root: root, algorithm: name)
    case .collective(.scatter):
      try communicator.scatter(memory(self.input, countOfAll), to: memory(output, count), root: root, algorithm: name)
    case .collective(.allToAll):
      try communicator.allToAll(memory(input, countOfAll), to: memory(output, countOfAll), algorithm: name)
    case .sendReceive:
      try communicator.sendReceive(
        memory(input, count), to: nextRank, into: memory(output, count), from: previousRank)
    }
  }

  /// The number of elements of all ranks' blocks.
  @inline(__always)
  private var countOfAll: Int { count * communicator.rankCount }

  @inline(__always)
  private func memory(_ address: UnsafeMutableRawPointer?, _ count: Int) -> RawMemory {
    RawMemory(address, count: count, type: elements.type)
  }

  private static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped }

  // MARK: The data

  /// - Returns: How many elements of this rank differ in any bit from what they must be: of the result, and of the input
  ///   where the call must leave it alone.
  func wrongElements() -> Int {
    var wrong = 0
    if let output {
      for part in results {
        wrong += pattern.expected.wrongElements(output + part.offset * elementBytes, from: part.key, count: part.count)
      }
    }
    if let input {
      for range in untouched {
        wrong += pattern.input.wrongElements(
          input + (range.lowerBound - layout.input.lowerBound) * elementBytes,
          from: inputKey + range.lowerBound - layout.input.lowerBound, count: range.count)
      }
    }
    return wrong
  }

  private var elementBytes: Int { elements.type.size }

  /// The number of the input's first element in the pattern.
  private var inputKey: Int {
    switch configuration.subject {
    // It follows from the place: all ranks' elements there are combined, or each place belongs to one rank.
    case .collective(.allReduce), .collective(.barrier), .collective(.reduceScatter), .collective(.reduce),
      .collective(.allGather), .collective(.gather):
      layout.input.lowerBound
    // Many ranks could have data there, so each rank's numbers follow those of the rank before.
    case .collective(.broadcast), .collective(.scatter), .collective(.allToAll), .sendReceive:
      communicator.rank * layout.total + layout.input.lowerBound
    }
  }

  /// The parts of the result: the first element in the output, its number in the pattern, and how many there are.
  private var results: [(offset: Int, key: Int, count: Int)] {
    let (rank, rankCount) = (communicator.rank, communicator.rankCount)
    let output = layout.output
    switch configuration.subject {
    case .collective(.allReduce), .collective(.barrier), .collective(.reduceScatter), .collective(.reduce),
      .collective(.allGather), .collective(.gather):
      return [(0, output.lowerBound, output.count)]
    case .collective(.broadcast), .collective(.scatter):
      return [(0, configuration.root * layout.total + output.lowerBound, output.count)]
    case .collective(.allToAll):
      return (0..<rankCount).map { source in (source * count, source * layout.total + rank * count, count) }
    case .sendReceive:
      return [(0, previousRank * layout.total, output.count)]
    }
  }

  /// The elements of the input that the call must not write; in place, those outside the output.
  private var untouched: [Range<Int>] {
    let input = layout.input
    guard configuration.inPlace, layout.shared != nil else { return [input] }
    return [
      input.lowerBound..<max(input.lowerBound, layout.output.lowerBound),
      min(input.upperBound, layout.output.upperBound)..<input.upperBound,
    ]
  }

  private func fill() {
    if let input { pattern.input.write(input, from: inputKey, count: layout.input.count) }
  }

  private func poison() {
    guard let output else { return }
    for part in results {
      pattern.poison.write(output + part.offset * elementBytes, from: part.key, count: part.count)
    }
  }
}
