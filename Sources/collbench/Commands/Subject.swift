import Tutti
import TuttiAlgorithms
import TuttiSchedule

/// What a run measures: a collective, or send and receive, which is not a collective and has no algorithms.
enum Subject: Hashable, Sendable, Named {
  case collective(Collective)
  /// Every rank sends to the next one and receives from the one before, as nccl-tests' `sendrecv` does. A single rank sends
  /// to itself.
  case sendReceive

  /// All subjects, in the order in which they are listed to users.
  static let allCases = Collective.allCases.map(Subject.collective) + [.sendReceive]

  var name: String {
    switch self {
    case .collective(let collective): collective.name
    case .sendReceive: "send-receive"
    }
  }

  private var collective: Collective? {
    if case .collective(let collective) = self { collective } else { nil }
  }

  /// The algorithms in the registry's order, those over groups last.
  var algorithms: [any Algorithm] {
    collective.map { collective in
      AlgorithmRegistry.algorithms(for: collective) + AlgorithmRegistry.overGroups.filter { $0.collective == collective }
    } ?? []
  }

  /// The plain algorithms that fold canonically at any rank count: at all those of the table in docs/ALGORITHMS.md.
  var canonicalAlgorithms: [String] {
    guard let collective, collective.combines else { return [] }
    return AlgorithmRegistry.algorithms(for: collective).filter { algorithm in
      (1...33).allSatisfy { algorithm.foldTree(for: Grouping(rankCount: $0)) == .canonical(rankCount: $0) }
    }.map(\.name)
  }

  var carriesData: Bool { self != .collective(.barrier) }
  var hasRoot: Bool { collective?.hasRoot ?? false }
  var combines: Bool { collective?.combines ?? false }
  /// Whether the bytes of a size are one block for each rank, rather than one message.
  var hasBlocks: Bool { collective?.hasBlocks ?? false }
  /// Whether one buffer can be both input and output.
  var canRunInPlace: Bool { carriesData && self != .sendReceive }

  /// The number of elements that a size means: those of the message, or of each rank's block, rounded down, but at least one
  /// unless the size is 0.
  ///
  /// - Parameter bytes: The bytes of the message, or of all ranks' blocks together, which nccl-tests calls the size.
  func count(bytes: Int, elementBytes: Int, rankCount: Int) -> Int {
    guard hasBlocks, bytes > 0 else { return bytes / elementBytes }
    return max(1, bytes / elementBytes / rankCount)
  }

  /// How much the busiest wire carries, as a multiple of the size (nccl-tests, doc/PERFORMANCE.md).
  func busFactor(rankCount: Int) -> Double {
    let ranks = Double(rankCount)
    return switch self {
    case .collective(.barrier): 0
    case .collective(.allReduce): 2 * (ranks - 1) / ranks
    case .collective(.broadcast), .collective(.reduce), .sendReceive: 1
    case .collective(.reduceScatter), .collective(.allGather), .collective(.gather), .collective(.scatter),
      .collective(.allToAll):
      (ranks - 1) / ranks
    }
  }
}

/// Where one rank's buffers lie in the data of all ranks, in elements: in the message, or in all ranks' blocks in rank
/// order.
struct BufferLayout {
  /// Elements of the message, or of all ranks' blocks.
  let total: Int
  let input: Range<Int>
  let output: Range<Int>

  /// - Parameter count: Elements of the message, or of each rank's block.
  init(_ subject: Subject, count: Int, rank: Int, rankCount: Int, root: Int) {
    let total = subject.hasBlocks ? count * rankCount : count
    func range(_ part: Collective.Part) -> Range<Int> {
      switch part {
      case .nothing: 0..<0
      case .whole: 0..<total
      case .block: rank * count..<(rank + 1) * count
      }
    }
    self.total = total
    switch subject {
    case .collective(let collective):
      input = range(collective.input(of: rank, root: root))
      output = range(collective.output(of: rank, root: root))
    case .sendReceive: (input, output) = (0..<total, 0..<total)
    }
  }

  /// The elements of the one buffer that holds input and output; nil where the rank has at most one of them.
  var shared: Range<Int>? {
    input.isEmpty || output.isEmpty
      ? nil : min(input.lowerBound, output.lowerBound)..<max(input.upperBound, output.upperBound)
  }

  /// The number of elements of all buffers of the rank. It is a double, because two counts below 2^63 can add up to more.
  func elements(inPlace: Bool) -> Double {
    if inPlace, let shared { return Double(shared.count) }
    return Double(input.count) + Double(output.count)
  }
}
