import TuttiEngine
import TuttiSchedule
import TuttiSystem

/// A collective as its caller asks for it, before any of it is checked.
@usableFromInline
package struct CollectiveCall {
  package var collective: Collective
  /// nil where this rank has none.
  package var input: RawMemory?
  package var output: RawMemory?
  /// How the data is divided; in an all-to-all, what goes to each rank.
  package var blocks: BlockSizes
  /// In an all-to-all, what comes from each rank.
  package var outputBlocks: BlockSizes
  package var operation: ReduceOp
  package var root: Int
  package var algorithm: AlgorithmName
  package var timeout: Duration?

  @usableFromInline
  package init(
    collective: Collective, input: RawMemory?, output: RawMemory?, blocks: BlockSizes = .equal,
    outputBlocks: BlockSizes = .equal, operation: ReduceOp = .sum, root: Int = 0, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) {
    self.collective = collective
    self.input = input
    self.output = output
    self.blocks = blocks
    self.outputBlocks = outputBlocks
    self.operation = operation
    self.root = root
    self.algorithm = algorithm
    self.timeout = timeout
  }

  /// An all-to-all in which every rank has counts of its own.
  var isExchange: Bool {
    if case .each = blocks { return collective == .allToAll }
    return false
  }

  /// The type of the elements; both buffers have it.
  @inline(__always)
  var type: DataType { (input ?? output)?.type ?? .uint8 }

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
  package static let countMax = Int.max / 16

  /// Checks a call and translates it for the engine: the one gate that every collective goes through, the library's own
  /// included. It asks no other rank: that is for ``StrictCheck``, where ranks must agree first.
  @inline(__always)
  func request(_ call: CollectiveCall) throws(FailureReport) -> Request {
    guard call.isWholeEverywhere, let input = call.input, let output = call.output, input.count == output.count,
      input.type == output.type
    else { return try requestOfParts(call) }
    return try request(
      call.collective, input.address, output.address, input.count, input.type, call.operation, call.algorithm, call.timeout)
  }

  /// Checks a call in which every rank gives and gets all the data. Small all-reduces come this way, so it is short, and
  /// takes the parts of a ``CollectiveCall`` instead of one.
  @inline(__always)
  func request(
    _ collective: Collective, _ input: UnsafeMutableRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int,
    _ type: DataType, _ operation: ReduceOp, _ algorithm: AlgorithmName, _ timeout: Duration?
  ) throws(FailureReport) -> Request {
    guard let source = input, let destination = output else {
      return try requestOfNoMemory(collective, input, output, count, type, operation, algorithm, timeout)
    }
    try member.checkProcess()
    let size = type.size
    if count < 0 || count > Self.countMax { throw count == RawMemory.wrongLayout ? badLayout(type) : badCount(count) }
    let distance = Int(bitPattern: destination) - Int(bitPattern: source)
    if distance != 0 && abs(distance) < count &* size { throw overlapping() }
    let number = try number(algorithm, collective)
    let reduction = try reduction(operation, type)
    return Request(
      key: PlanKey(
        collective: collective, algorithm: number, dataType: type.rawValue, inPlace: distance == 0,
        traits: reduction.pointee.traits, count: UInt64(bitPattern: Int64(count))),
      reduction: reduction, elementBytes: size, input: source, output: destination, limit: limit(timeout))
  }

  /// Checks a call whose memory has no address, which is right where there are no elements. It is a function of its own so
  /// that all other calls stay short.
  @inline(never)
  private func requestOfNoMemory(
    _ collective: Collective, _ input: UnsafeMutableRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int,
    _ type: DataType, _ operation: ReduceOp, _ algorithm: AlgorithmName, _ timeout: Duration?
  ) throws(FailureReport) -> Request {
    try requestOfParts(
      CollectiveCall(
        collective: collective, input: RawMemory(input, count: count, type: type),
        output: RawMemory(output, count: count, type: type), operation: operation, algorithm: algorithm, timeout: timeout))
  }

  @inline(__always)
  private func number(_ algorithm: AlgorithmName, _ collective: Collective) throws(FailureReport) -> UInt8 {
    algorithm.name == nil ? 0 : try number(of: algorithm.name.unsafelyUnwrapped, collective)
  }

  /// Where nothing is combined, the operation is the sum, which all types have.
  @inline(__always)
  private func reduction(_ operation: ReduceOp, _ type: DataType) throws(FailureReport) -> UnsafePointer<Reduction> {
    guard let reduction = reductions.find(operation.rawValue, dataType: type.rawValue) else {
      throw undefined(operation, type)
    }
    return reduction
  }

  @inline(__always)
  private func limit(_ timeout: Duration?) -> TimeLimit {
    TimeLimit(nanoseconds: timeout.map(Self.nanoseconds) ?? defaultTimeout)
  }

  /// Checks a call in which ranks give or get parts of the data, or one that will be refused. It takes any call, and refuses
  /// one that the short way takes as well as that does: for the same, in the same order.
  @inline(never)
  func requestOfParts(_ call: CollectiveCall) throws(FailureReport) -> Request {
    try member.checkProcess()
    guard (0..<rankCount).contains(call.root) else {
      throw refused("root \(call.root) is not one of \(rankCount) ranks", "Roots go from 0 to \(rankCount - 1)")
    }
    var blocks: [UInt64]?
    let extent = try extent(of: call, &blocks)
    let size = call.type.size
    let input = try address(call.input, extent.input.count, call.type, "input")
    let output = try address(call.output, extent.output.count, call.type, "output")
    let inPlace = try isInPlace(call, extent, input, output)
    let number = try number(call.algorithm, call.collective)
    let reduction = try reduction(call.operation, call.type)
    // In place, one is a part of the other, and the engine wants the larger.
    let larger = inPlace && extent.input.count > extent.output.count ? input : output
    return Request(
      key: PlanKey(
        collective: call.collective, algorithm: number, dataType: call.type.rawValue, inPlace: inPlace,
        isExchange: call.isExchange, traits: reduction.pointee.traits, root: Int32(call.root),
        count: extent.count),
      reduction: reduction, elementBytes: size, input: input, output: UnsafeMutableRawPointer(mutating: larger),
      limit: limit(call.timeout), blocks: blocks)
  }

  /// Says where this rank's buffers lie in the data of all ranks, in elements, and what count, or digest of counts, the plan
  /// is made for.
  private struct Extent {
    var input: (start: Int, count: Int)
    var output: (start: Int, count: Int)
    var count: UInt64
  }

  /// - Parameter blocks: Set to the numbers of elements by block, where they are not all equal.
  @inline(__always)
  private func extent(of call: CollectiveCall, _ blocks: inout [UInt64]?) throws(FailureReport) -> Extent {
    if call.input?.count == RawMemory.wrongLayout || call.output?.count == RawMemory.wrongLayout {
      throw badLayout(call.type)
    }
    guard case .equal = call.blocks, case .equal = call.outputBlocks else { return try unequalExtent(of: call, &blocks) }
    let times = call.collective.hasBlocks ? rankCount : 1
    let count = try equalCount(of: call)
    if count < 0 || count > Self.countMax / times { throw badCount(count) }
    return extent(of: call, total: count &* times, before: count &* rank, count, number: UInt64(count))
  }

  @inline(never)
  private func unequalExtent(of call: CollectiveCall, _ blocks: inout [UInt64]?) throws(FailureReport) -> Extent {
    switch (call.blocks, call.outputBlocks) {
    case (.each(let send), .each(let receive)) where call.collective == .allToAll:
      let (input, output) = (try sum(send), try sum(receive))
      if send[rank] != receive[rank] {
        throw refused(
          "rank \(rank) sends a count of \(send[rank]) to itself, but receives \(receive[rank])",
          "Both counts must be equal")
      }
      let sizes = (send + receive).map(UInt64.init)
      blocks = sizes
      return Extent(input: (0, input), output: (0, output), count: PlanKey.digest(ofBlocks: sizes))
    case (.each(let counts), .equal) where call.collective.hasBlocks && call.collective != .allToAll:
      let total = try sum(counts)
      let sizes = counts.map(UInt64.init)
      blocks = sizes
      return extent(
        of: call, total: total, before: counts[..<rank].reduce(0, +), counts[rank],
        number: PlanKey.digest(ofBlocks: sizes))
    default:
      throw refused(
        "the blocks of an all-to-all are equal on one side only",
        "Give counts for what is sent and for what is received, or for neither")
    }
  }

  /// The extent of a rank with `own` elements of all ranks' `total`, and `before` of them on lower ranks.
  @inline(__always)
  private func extent(of call: CollectiveCall, total: Int, before: Int, _ own: Int, number: UInt64) -> Extent {
    func place(_ part: Collective.Part) -> (start: Int, count: Int) {
      switch part {
      case .nothing: (0, 0)
      case .whole: (0, total)
      case .block: (before, own)
      }
    }
    return Extent(
      input: place(call.collective.input(of: rank, root: call.root)),
      output: place(call.collective.output(of: rank, root: call.root)), count: number)
  }

  /// Elements of the message, or of each rank's block where all are equal.
  @inline(__always)
  private func equalCount(of call: CollectiveCall) throws(FailureReport) -> Int {
    switch call.collective {
    case .reduceScatter, .scatter, .broadcast: call.output?.count ?? 0
    case .allToAll: try equalBlock(of: call.input?.count ?? 0)
    case .allReduce, .barrier, .allGather, .reduce, .gather: call.input?.count ?? 0
    }
  }

  /// Elements of each rank's block of `count`.
  func equalBlock(of count: Int) throws(FailureReport) -> Int {
    if count % rankCount == 0 { return count / rankCount }
    throw refused(
      "\(count) elements cannot be divided into \(rankCount) equal blocks",
      "Give a multiple of \(rankCount), or a count for each rank")
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

  /// The address of a buffer of which `count` elements are needed; refuses one of another size or type. Where none are
  /// needed, it is ignored.
  @inline(__always)
  private func address(
    _ memory: RawMemory?, _ count: Int, _ type: DataType, _ name: StaticString
  ) throws(FailureReport) -> UnsafeRawPointer {
    if count == 0 { return UnsafeRawPointer(memory?.address ?? Self.nowhere) }
    guard let memory, let address = memory.address, memory.type == type, memory.count == count else {
      throw wrongMemory(memory, count, type, "\(name)")
    }
    return UnsafeRawPointer(address)
  }

  /// The address that stands in where there are no elements, because an empty collection has none. It is never followed.
  static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped }

  /// Whether the call is in place: the buffers are the same, or one is this rank's part of the other. Refuses buffers that
  /// overlap in any other way.
  private func isInPlace(
    _ call: CollectiveCall, _ extent: Extent, _ input: UnsafeRawPointer, _ output: UnsafeRawPointer
  ) throws(FailureReport) -> Bool {
    if extent.input.count == 0 || extent.output.count == 0 { return false }
    let size = call.type.size
    // Where the data of all ranks would begin.
    let inputStart = Int(bitPattern: input) &- extent.input.start * size
    let outputStart = Int(bitPattern: output) &- extent.output.start * size
    let isExchange = call.isExchange
    if inputStart == outputStart && !isExchange { return true }
    if input < output + extent.output.count * size && output < input + extent.input.count * size {
      throw overlapping(isExchange ? "An all-to-all with counts of its own for each rank cannot run in place" : nil)
    }
    return false
  }
}
