import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// What a caller says of a collective, before anything of it is checked.
struct CollectiveCall {
  enum Sizes {
    /// Elements of the message, or of each rank's block.
    case each(Int)
    /// Elements of each rank's block: a v-form.
    case blocks([Int])
    /// All-to-all: elements that go to each rank, and that come from each.
    case exchange(send: [Int], receive: [Int])
  }

  var collective: Collective
  var input: UnsafeRawPointer?
  var output: UnsafeMutableRawPointer?
  var sizes: Sizes
  var type: DataType
  var operation = ReduceOp.sum
  var root = 0
  var algorithm: String?
  var timeout: Duration?

  var isExchange: Bool { if case .exchange = sizes { true } else { false } }

  /// Whether every rank's input and output are all the data.
  @inline(__always)
  var isWholeEverywhere: Bool {
    switch collective {
    case .allReduce, .barrier: true
    case .reduceScatter, .allGather, .broadcast, .reduce, .gather, .scatter, .allToAll: false
    }
  }
}

extension Communicator {
  /// The largest number of elements of a call: a byte count of it, for any type, fits in 63 bits.
  static let countMax = Int.max / 16

  /// Checks a call and puts it into the engine's words: the one gate that every collective goes through, the
  /// library's own included. Asks nobody: what all ranks must agree on first is ``StrictCheck``'s.
  @inline(__always)
  func request(_ call: CollectiveCall) throws(FailureReport) -> Request {
    try member.checkProcess()
    let number = call.algorithm == nil ? 0 : try number(of: call.algorithm.unsafelyUnwrapped, call.collective)
    // Where nothing is combined, the operation is the sum, which all types have.
    guard let reduction = reductions.find(call.operation.rawValue, dataType: call.type.rawValue) else {
      throw undefined(call.operation, call.type)
    }
    let limit = TimeLimit(nanoseconds: call.timeout.map(Self.nanoseconds) ?? defaultTimeout)
    guard case .each(let count) = call.sizes, call.isWholeEverywhere, let input = call.input, let output = call.output else {
      return try requestOfParts(call, number, reduction, limit)
    }
    // Every rank gives and gets all the data: the way of small all-reduces, so it is short.
    if count < 0 || count > Self.countMax { throw badCount(count) }
    let distance = Int(bitPattern: output) - Int(bitPattern: input)
    if distance != 0 && abs(distance) < count &* call.type.size { throw overlapping() }
    return Request(
      key: PlanKey(
        collective: call.collective, algorithm: number, dataType: call.type.rawValue, inPlace: distance == 0,
        dividesContributions: reduction.pointee.dividesContributions, count: UInt64(bitPattern: Int64(count))),
      reduction: reduction, elementBytes: call.type.size, input: input, output: output, limit: limit)
  }

  /// Checks a call of which ranks give or get parts.
  @inline(never)
  private func requestOfParts(
    _ call: CollectiveCall, _ number: UInt8, _ reduction: UnsafePointer<Reduction>, _ limit: TimeLimit
  ) throws(FailureReport) -> Request {
    guard (0..<rankCount).contains(call.root) else {
      throw refused("root \(call.root) is not one of \(rankCount) ranks", "Roots go from 0 to \(rankCount - 1)")
    }
    let extent = try extent(of: call)
    let size = call.type.size
    let input = try address(call.input, bytes: extent.input.count * size, "input")
    let output = try address(call.output.map { UnsafeRawPointer($0) }, bytes: extent.output.count * size, "output")
    let inPlace = try isInPlace(call, extent, input, output)
    // In place, one is a part of the other, and the engine wants the larger.
    let larger = inPlace && extent.input.count > extent.output.count ? input : output
    return Request(
      key: PlanKey(
        collective: call.collective, algorithm: number, dataType: call.type.rawValue, inPlace: inPlace,
        isExchange: call.isExchange, dividesContributions: reduction.pointee.dividesContributions, root: Int32(call.root),
        count: extent.count),
      reduction: reduction, elementBytes: size, input: input, output: UnsafeMutableRawPointer(mutating: larger),
      limit: limit, blocks: extent.blocks)
  }

  /// The elements of a call: where this rank's buffers lie in the data of all, and what the plan is made for.
  private struct Extent {
    var input = 0..<0
    var output = 0..<0
    var count: UInt64 = 0
    var blocks: [UInt64]?
  }

  private func extent(of call: CollectiveCall) throws(FailureReport) -> Extent {
    let collective = call.collective
    var extent = Extent()
    switch call.sizes {
    case .each(let count):
      let times = collective.hasBlocks ? rankCount : 1
      if count < 0 || count > Self.countMax / times { throw badCount(count) }
      extent.count = UInt64(count)
      extent.input = part(collective.input(of: rank, root: call.root), total: count * times, before: count * rank, count)
      extent.output = part(collective.output(of: rank, root: call.root), total: count * times, before: count * rank, count)
    case .blocks(let counts):
      let total = try sum(counts)
      let before = counts[..<rank].reduce(0, +)
      extent.blocks = counts.map(UInt64.init)
      extent.count = PlanKey.digest(ofBlocks: extent.blocks!)
      extent.input = part(collective.input(of: rank, root: call.root), total: total, before: before, counts[rank])
      extent.output = part(collective.output(of: rank, root: call.root), total: total, before: before, counts[rank])
    case .exchange(let send, let receive):
      extent.input = 0..<(try sum(send))
      extent.output = 0..<(try sum(receive))
      if send[rank] != receive[rank] {
        throw refused(
          "rank \(rank) sends \(send[rank]) elements to itself, but receives \(receive[rank])", "Both counts must be equal")
      }
      extent.blocks = (send + receive).map(UInt64.init)
      extent.count = PlanKey.digest(ofBlocks: extent.blocks!)
    }
    return extent
  }

  private func part(_ part: Collective.Part, total: Int, before: Int, _ own: Int) -> Range<Int> {
    switch part {
    case .nothing: 0..<0
    case .whole: 0..<total
    case .block: before..<before + own
    }
  }

  func sum(_ counts: [Int]) throws(FailureReport) -> Int {
    guard counts.count == rankCount else {
      throw refused("\(counts.count) counts were given for \(rankCount) ranks", "Give one count for each rank")
    }
    var total = 0
    for count in counts {
      if count < 0 || count > Self.countMax - total { throw badCount(count) }
      total += count
    }
    return total
  }

  private func address(_ pointer: UnsafeRawPointer?, bytes: Int, _ name: String) throws(FailureReport) -> UnsafeRawPointer {
    if let pointer { return pointer }
    if bytes == 0 { return UnsafeRawPointer(Self.nowhere) }
    throw refused("the \(name) of \(bytes) bytes is nil on rank \(rank)", "Give this rank memory for it")
  }

  /// Whether one buffer is its part of the other; refuses buffers that overlap in any other way.
  private func isInPlace(
    _ call: CollectiveCall, _ extent: Extent, _ input: UnsafeRawPointer, _ output: UnsafeRawPointer
  ) throws(FailureReport) -> Bool {
    let size = call.type.size
    // Where the data of all would begin.
    let inputStart = Int(bitPattern: input) &- extent.input.lowerBound * size
    let outputStart = Int(bitPattern: output) &- extent.output.lowerBound * size
    if extent.input.isEmpty || extent.output.isEmpty { return false }
    let isExchange = call.isExchange
    if inputStart == outputStart && !isExchange { return true }
    if input < output + extent.output.count * size && output < input + extent.input.count * size {
      throw overlapping(isExchange ? "An all-to-all with counts of its own for each rank cannot run in place" : nil)
    }
    return false
  }

  // MARK: Refusals

  @inline(never)
  func overlapping(_ advice: String? = nil) -> FailureReport {
    refused(
      "input and output overlap", advice ?? "Give the same memory, so that the call is in place, or memory apart from it")
  }

  @inline(never)
  private func undefined(_ operation: ReduceOp, _ type: DataType) -> FailureReport {
    refused(
      "\(operation) is not defined for \(type)",
      operation == .average
        ? "Use sum and divide, in a floating-point type if the fraction matters" : "Bitwise operations are for integers")
  }

  @inline(never)
  func badCount(_ count: Int) -> FailureReport {
    refused(
      "\(count) is no count of elements for a call", "Counts go from 0, and those of all blocks together to \(Self.countMax)"
    )
  }

  /// A call that cannot be met, and changes nothing.
  func refused(_ message: String, _ advice: String) -> FailureReport {
    FailureReport(.invalidArgument, rank: rank, message, advice: advice)
  }
}
