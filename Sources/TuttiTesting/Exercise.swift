import Foundation
import Tutti
import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem

/// One call of any collective, as all ranks must make it: its arguments, every rank's data, and the result it must have.
///
/// The results are computed here from the collectives' definitions. Data that only moves is arbitrary bits, different in
/// every element of every rank.
package struct Exercise: Sendable, CustomStringConvertible {
  package let rankCount: Int
  package let collective: Collective
  package let algorithm: String?
  package let type: DataType
  package let operation: ReduceOp
  package let root: Int
  /// Whether the call is in place; on the root only, where only the root has both buffers.
  package let isInPlace: Bool
  package let isUneven: Bool
  let salt: Int
  /// By rank: the elements of its block, or of the message where there are no blocks.
  private let blocks: [Int]
  /// For an all-to-all, by sender: the elements for each receiver.
  private let matrix: [[Int]]

  /// Draws any call at random, with one of the library's algorithms or `auto`.
  package init(rankCount: Int, using generator: inout SeededGenerator) {
    self.init(
      rankCount: rankCount, Collective.allCases.filter { $0 != .barrier }.randomElement(using: &generator)!,
      algorithm: nil, using: &generator)
  }

  /// - Parameter algorithm: One of the library's, or `auto`; nil for any of them.
  package init(rankCount: Int, _ collective: Collective, algorithm: String?, using generator: inout SeededGenerator) {
    let grouping = Grouping(rankCount: rankCount)
    let known = AlgorithmRegistry.algorithms(for: collective).filter { $0.isDefined(for: grouping) }.map(\.name)
    let name = algorithm ?? (known + ["auto"]).randomElement(using: &generator)!
    let servesUneven =
      AlgorithmRegistry.algorithm(collective, named: name)
      .map { !$0.schedule(for: grouping.position(of: 0)).equalBlocks } ?? true
    self.init(rankCount: rankCount, collective, name, servesUneven: servesUneven, using: &generator)
  }

  package init(
    rankCount: Int, _ collective: Collective, _ algorithm: String?, servesUneven: Bool,
    using generator: inout SeededGenerator
  ) {
    self.rankCount = rankCount
    self.collective = collective
    self.algorithm = algorithm
    isUneven = collective.hasBlocks && servesUneven && Bool.random(using: &generator)
    type = DataType.allCases.randomElement(using: &generator)!
    let type = type
    operation = ReduceOp.allCases.filter { $0.isDefined(for: type) }.randomElement(using: &generator)!
    root = collective.hasRoot ? Int.random(in: 0..<rankCount, using: &generator) : 0
    salt = Int.random(in: 0..<13, using: &generator)
    let isUneven = isUneven
    func size() -> Int {
      let scale = collective.hasBlocks ? rankCount : 1
      switch Int.random(in: 0..<100, using: &generator) {
      case ..<10: return 0
      case ..<35: return Int.random(in: 1...20, using: &generator)
      case ..<70: return Int.random(in: 10...500, using: &generator) * 2 / scale + 1
      case ..<92: return Int.random(in: 1000...6000, using: &generator) / scale
      default: return Int.random(in: 6000...40_000, using: &generator) / scale
      }
    }
    let common = size()
    var blocks: [Int] = []
    for _ in 0..<rankCount { blocks.append(isUneven ? size() : common) }
    self.blocks = blocks
    var matrix: [[Int]] = []
    if collective == .allToAll {
      for _ in 0..<rankCount {
        var row: [Int] = []
        for _ in 0..<rankCount { row.append(isUneven ? size() / rankCount : common) }
        matrix.append(row)
      }
    }
    self.matrix = matrix
    isInPlace = Bool.random(using: &generator) && !(collective == .allToAll && isUneven)
  }

  package var description: String {
    let sizes = isUneven ? (matrix.isEmpty ? "\(blocks)" : "\(matrix)") : "\(blocks[0])"
    return
      "\(collective.name) \(algorithm ?? "auto"), \(operation) of \(sizes) \(type), root \(root), in place \(isInPlace), "
      + "salt \(salt), \(rankCount) ranks"
  }

  // MARK: Data

  /// The bits of element `index` of a rank's whole data, before it is cut to what the rank gives.
  private func datum(_ rank: Int, _ index: Int) -> UInt64 {
    if collective.combines { return ElementBits.bits(of: number(rank, index), type) }
    let place = UInt64(rank) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index) &* 0xBF58_476D_1CE4_E5B9 &+ UInt64(salt)
    return SeededGenerator.mixed(place) & (type.size == 8 ? .max : 1 << UInt64(type.size * 8) - 1)
  }

  private func number(_ rank: Int, _ index: Int) -> Int {
    let value = (rank * 7 + index * 3 + salt + index / 13) % 13
    if operation == .product { return [1, -1, 2, -2][value % 4] }
    // An average of a 16-bit type divides each contribution, and multiples of the rank count leave every part exact.
    return (value - 6) * (operation == .average && type.size == 2 ? rankCount : 1)
  }

  /// Numbers repeat after this many elements, so that a result is combined once for each of them.
  private static let period = 13 * 13

  private func combined(_ indices: Range<Int>) -> [UInt64] {
    let results = (0..<min(Self.period, total)).map { index in
      ElementBits.combined((0..<rankCount).map { number($0, index) }, operation, type)
    }
    return indices.map { results[$0 % Self.period] }
  }

  private var total: Int { collective.hasBlocks ? blocks.reduce(0, +) : blocks[0] }

  private func block(_ rank: Int) -> Range<Int> {
    let start = blocks[..<rank].reduce(0, +)
    return start..<start + blocks[rank]
  }

  func input(of rank: Int) -> [UInt64] {
    switch collective {
    case .allReduce, .reduceScatter, .reduce, .barrier: (0..<total).map { datum(rank, $0) }
    case .allGather, .gather: block(rank).map { datum(rank, $0) }
    case .broadcast, .scatter: rank == root ? (0..<total).map { datum(rank, $0) } : []
    case .allToAll: (0..<matrix[rank].reduce(0, +)).map { datum(rank, $0) }
    }
  }

  func output(of rank: Int) -> [UInt64] {
    switch collective {
    case .allReduce, .barrier: return combined(0..<total)
    case .reduce: return rank == root ? combined(0..<total) : []
    case .reduceScatter: return combined(block(rank))
    case .allGather, .gather:
      if collective == .gather, rank != root { return [] }
      return (0..<rankCount).flatMap { source in block(source).map { datum(source, $0) } }
    case .broadcast: return (0..<total).map { datum(root, $0) }
    case .scatter: return block(rank).map { datum(root, $0) }
    case .allToAll:
      return (0..<rankCount).flatMap { source in
        let start = matrix[source][..<rank].reduce(0, +)
        return (start..<start + matrix[source][rank]).map { datum(source, $0) }
      }
    }
  }

  /// Where the smaller of a rank's buffers lies in the larger, in elements, when the call is in place.
  func inPlaceOffset(of rank: Int) -> Int {
    switch collective {
    case .allGather, .gather, .reduceScatter, .scatter: block(rank).lowerBound
    default: 0
    }
  }

  // MARK: The call

  package func run(_ communicator: Communicator, _ memory: ExerciseMemory) throws(TuttiError) {
    let (input, output) = (input(communicator.rank, memory), output(communicator.rank, memory))
    let (sizes, name) = (isUneven ? BlockSizes.each(blocks) : .equal, AlgorithmName(algorithm))
    switch collective {
    case .allReduce, .barrier: try communicator.allReduce(input, to: output, operation, algorithm: name)
    case .reduceScatter: try communicator.reduceScatter(input, to: output, operation, blocks: sizes, algorithm: name)
    case .allGather: try communicator.allGather(input, to: output, blocks: sizes, algorithm: name)
    case .broadcast: try communicator.broadcast(input, to: output, root: root, algorithm: name)
    case .reduce: try communicator.reduce(input, to: output, operation, root: root, algorithm: name)
    case .gather: try communicator.gather(input, to: output, root: root, blocks: sizes, algorithm: name)
    case .scatter: try communicator.scatter(input, to: output, root: root, blocks: sizes, algorithm: name)
    case .allToAll:
      let (sent, received) = exchanged(communicator.rank)
      try communicator.allToAll(input, blocks: sent, to: output, blocks: received, algorithm: name)
    }
  }

  package func start(_ communicator: Communicator, _ memory: ExerciseMemory) throws(TuttiError) -> Work {
    let (input, output) = (input(communicator.rank, memory), output(communicator.rank, memory))
    let (sizes, name) = (isUneven ? BlockSizes.each(blocks) : .equal, AlgorithmName(algorithm))
    switch collective {
    case .allReduce, .barrier: return try communicator.startAllReduce(input, to: output, operation, algorithm: name)
    case .reduceScatter:
      return try communicator.startReduceScatter(input, to: output, operation, blocks: sizes, algorithm: name)
    case .allGather: return try communicator.startAllGather(input, to: output, blocks: sizes, algorithm: name)
    case .broadcast: return try communicator.startBroadcast(input, to: output, root: root, algorithm: name)
    case .reduce: return try communicator.startReduce(input, to: output, operation, root: root, algorithm: name)
    case .gather: return try communicator.startGather(input, to: output, root: root, blocks: sizes, algorithm: name)
    case .scatter: return try communicator.startScatter(input, to: output, root: root, blocks: sizes, algorithm: name)
    case .allToAll:
      let (sent, received) = exchanged(communicator.rank)
      return try communicator.startAllToAll(input, blocks: sent, to: output, blocks: received, algorithm: name)
    }
  }

  private func input(_ rank: Int, _ memory: ExerciseMemory) -> RawMemory {
    let count =
      switch collective {
      case .allReduce, .reduceScatter, .reduce, .barrier, .broadcast, .scatter: total
      case .allGather, .gather: blocks[rank]
      case .allToAll: matrix[rank].reduce(0, +)
      }
    return RawMemory(memory.input, count: count, type: type)
  }

  private func output(_ rank: Int, _ memory: ExerciseMemory) -> RawMemory {
    let count =
      switch collective {
      case .allReduce, .barrier, .reduce, .broadcast, .allGather, .gather: total
      case .reduceScatter, .scatter: blocks[rank]
      case .allToAll: matrix.reduce(0) { $0 + $1[rank] }
      }
    return RawMemory(memory.output, count: count, type: type)
  }

  /// The sizes of the blocks that a rank sends and receives in an all-to-all.
  private func exchanged(_ rank: Int) -> (BlockSizes, BlockSizes) {
    isUneven ? (.each(matrix[rank]), .each(matrix.map { $0[rank] })) : (.equal, .equal)
  }
}

/// One rank's buffers of an ``Exercise``: at any alignment, guarded on both sides.
package final class ExerciseMemory: @unchecked Sendable {
  // @unchecked: one rank's thread uses it; a started operation does so until its wait returns.
  private static let guardBytes = 64

  let input: UnsafeMutableRawPointer
  let output: UnsafeMutableRawPointer
  private let exercise: Exercise
  private let rank: Int
  private let given: [UInt64]
  private let wanted: [UInt64]
  private let memory: UnsafeMutableRawPointer
  /// Owns `memory`.
  private let buffer: TuttiBuffer<UInt8>
  private let byteCount: Int
  private let isInPlace: Bool
  /// The communicator that `memory` is registered with until the end; nil where it is not registered.
  private let registrar: Communicator?

  /// - Parameters:
  ///   - communicator: The communicator whose registered memory it is; nil for ordinary memory.
  ///   - isCallers: Whether to register memory of the caller's own, instead of memory that the communicator allocates.
  package init(
    _ exercise: Exercise, rank: Int, misalignment: Int, registeredWith communicator: Communicator? = nil,
    isCallers: Bool = false
  ) throws(TuttiError) {
    self.exercise = exercise
    self.rank = rank
    let size = exercise.type.size
    given = exercise.input(of: rank)
    let inputBytes = given.count * size
    wanted = exercise.output(of: rank)
    let outputBytes = wanted.count * size
    isInPlace = exercise.isInPlace && inputBytes > 0 && outputBytes > 0
    byteCount = inputBytes + outputBytes + 4 * Self.guardBytes
    registrar = isCallers ? communicator : nil
    let allocated = isCallers ? nil : try communicator?.allocate(UInt8.self, count: byteCount, repeating: 0xA5)
    buffer = allocated ?? TuttiBuffer(count: byteCount, repeating: 0xA5)
    try registrar?.register(UnsafeMutableRawBufferPointer(buffer.pointer))
    memory = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
    let first = memory + Self.guardBytes + misalignment
    let offset = exercise.inPlaceOffset(of: rank) * size
    if !isInPlace {
      output = first
      input = first + outputBytes + Self.guardBytes
    } else if inputBytes >= outputBytes {
      input = first
      output = first + offset
    } else {
      output = first
      input = first + offset
    }
    for (index, bits) in given.enumerated() { ElementBits.store(bits, at: index, of: input, size: size) }
  }

  deinit {
    // It was registered above, so this fails only in a forked child.
    try? registrar?.unregister(UnsafeMutableRawBufferPointer(buffer.pointer))
  }

  /// The first thing that is wrong with the result, or nil.
  package func firstError() -> String? {
    let size = exercise.type.size
    var expected = [UInt8](repeating: 0xA5, count: byteCount)
    func write(_ elements: [UInt64], at place: UnsafeMutableRawPointer) {
      expected.withUnsafeMutableBytes { bytes in
        let start = bytes.baseAddress! + (place - memory)
        for (index, bits) in elements.enumerated() { ElementBits.store(bits, at: index, of: start, size: size) }
      }
    }
    write(given, at: input)
    write(wanted, at: output)
    if memcmp(expected, memory, byteCount) == 0 { return nil }
    for (offset, byte) in expected.enumerated() where (memory + offset).load(as: UInt8.self) != byte {
      let place = offset - (output - memory)
      return
        "rank \(rank): byte \(place) of the output (element \(place / size)) is \((memory + offset).load(as: UInt8.self)), not \(byte)"
    }
    return nil
  }
}
