import Tutti

/// A part of one parameter, with what an optimizer needs to update it.
public struct ParameterPiece<Element: TrainingElement> {
  /// Index of the parameter.
  public let parameter: Int
  /// Which elements of the parameter.
  public let range: Range<Int>
  /// To be updated: shape `[range.count]`.
  public let values: UnsafeMutableBufferPointer<Element>
  /// Reduced: shape `[range.count]`.
  public let gradients: UnsafeBufferPointer<Element>
  /// What the rule keeps for each element: ``UpdateRule/stateCount`` arrays of shape `[range.count]`, zero at first.
  public let states: [UnsafeMutableBufferPointer<Element>]

  /// A piece, for tests of a rule. All buffers have `range.count` elements.
  public init(
    parameter: Int, range: Range<Int>, values: UnsafeMutableBufferPointer<Element>, gradients: UnsafeBufferPointer<Element>,
    states: [UnsafeMutableBufferPointer<Element>]
  ) {
    self.parameter = parameter
    self.range = range
    self.values = values
    self.gradients = gradients
    self.states = states
  }
}

/// How an optimizer updates one element of a parameter, given nothing but its gradient and its own state: SGD, momentum, Adam.
///
/// Compiled for generic elements, a loop is slow when it is called from another module: give `update` the attribute
/// `@specialized(where Element == Float)`, or conform a type that is not generic.
public protocol UpdateRule<Element>: Sendable {
  /// What parameters are made of.
  associatedtype Element: TrainingElement
  /// Numbers kept for each element: 0 for plain SGD, 1 with momentum, 2 for Adam.
  var stateCount: Int { get }
  /// Updates the values of a piece. How parameters are cut into pieces must make no difference.
  ///
  /// - Parameter step: From 1.
  func update(_ piece: ParameterPiece<Element>, step: Int)
}

/// Updates parameters with reduced gradients, and keeps the rule's state for them: all of it, or with ``GradientSharding/sharded`` this rank's shard.
///
/// Sharded, each rank updates its part and all gather the values: the same result, with 1/n of the state for each rank.
///
/// - SeeAlso: Rajbhandari et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, SC 2020.
public final class ShardedOptimizer<Rule: UpdateRule> {
  /// What parameters are made of.
  public typealias Element = Rule.Element

  /// A part of a parameter whose state this rank holds.
  public struct StatePiece {
    /// Index of the parameter.
    public let parameter: Int
    /// Which of its elements.
    public let range: Range<Int>
    /// One array of shape `[range.count]` for each number that the rule keeps.
    public let states: [UnsafeMutableBufferPointer<Element>]
  }

  /// May be changed between steps, alike on all ranks: for a learning rate that follows a schedule.
  public var rule: Rule
  /// Steps made so far. Set when a checkpoint is restored.
  public var stepCount = 0

  private let synchronizer: GradientSynchronizer<Element>
  private var storage: Storage?

  /// The state, in memory of its own, for the buckets as they are.
  private final class Storage {
    let memory: UnsafeMutableBufferPointer<Element>
    /// By bucket.
    let pieces: [[(gradients: Range<Int>, state: StatePiece)]]

    init(memory: UnsafeMutableBufferPointer<Element>, pieces: [[(gradients: Range<Int>, state: StatePiece)]]) {
      (self.memory, self.pieces) = (memory, pieces)
    }

    deinit { memory.deallocate() }
  }

  /// Makes an optimizer for the parameters of a synchronizer, whose options say whether it is sharded.
  public init(_ synchronizer: GradientSynchronizer<Element>, _ rule: Rule) {
    self.synchronizer = synchronizer
    self.rule = rule
  }

  /// Bytes of state that this rank holds. As with ``states``, buckets stay as they are from the first look on.
  public var stateBytes: Int { prepared().memory.count * MemoryLayout<Element>.stride }

  /// What this rank holds state for, and the state: to be saved, or to be filled when a checkpoint is restored.
  ///
  /// The pieces of all ranks together are all parameters: once if sharded, otherwise all of them on every rank. From the first look on, buckets stay
  /// as they are, so look after the first step, or give ``SynchronizerOptions/readyOrder``.
  public var states: [StatePiece] { prepared().pieces.flatMap { $0.map(\.state) } }

  /// Updates the parameters with the gradients. After ``GradientSynchronizer/finish()``, on every rank. Sharded, gradients are zero afterwards.
  ///
  /// - Throws: ``TuttiError``: `.invalidArgument` without a ``GradientSynchronizer/finish()`` since the last one; as of any collective, if sharded: parameters are
  ///   then unspecified.
  @available(*, noasync, message: "a sharded step blocks its thread")
  public func step() throws(TuttiError) {
    try synchronizer.takeResults()
    let storage = prepared()
    let conductor = synchronizer.conductor
    let memory = conductor.memory
    stepCount += 1
    let isSharded = synchronizer.options.sharding == .sharded
    var gathers: [(bucket: Int, work: Work)] = []
    // First what the next forward pass needs first.
    let layout = conductor.layout
    for bucket in layout.buckets.indices.sorted(by: { layout.buckets[$0].priority < layout.buckets[$1].priority }) {
      for piece in storage.pieces[bucket] {
        let parameter = synchronizer.parameters[piece.state.parameter]
        let values = UnsafeMutableBufferPointer(rebasing: parameter.values[piece.state.range])
        let gradients = UnsafeMutableBufferPointer(rebasing: memory.gradients.pointer[piece.gradients])
        rule.update(
          ParameterPiece(
            parameter: piece.state.parameter, range: piece.state.range, values: values,
            gradients: UnsafeBufferPointer(gradients), states: piece.state.states),
          step: stepCount)
        // Values travel in the memory of their gradients, which are not needed any more.
        if isSharded { _ = gradients.update(fromContentsOf: values) }
      }
      if isSharded { gathers.append((bucket, try conductor.startGather(bucket))) }
    }
    for (bucket, work) in gathers {
      try work.wait()
      for parameter in layout.buckets[bucket].parameters {
        let gradient = memory.gradient(parameter)
        _ = synchronizer.parameters[parameter].values.update(fromContentsOf: gradient)
        gradient.update(repeating: 0)
      }
    }
  }

  /// The state, made when it is first needed.
  private func prepared() -> Storage {
    if let storage { return storage }
    synchronizer.keepLayout()
    let conductor = synchronizer.conductor
    let layout = conductor.layout
    // Parts of parameters in this rank's part of each bucket.
    var cuts: [[(parameter: Int, gradients: Range<Int>)]] = []
    for (index, bucket) in layout.buckets.enumerated() {
      let own = conductor.ownRange(index)
      cuts.append(
        bucket.parameters.compactMap { parameter in
          let part = layout.ranges[parameter].clamped(to: own)
          return part.isEmpty ? nil : (parameter, part)
        })
    }
    let count = cuts.joined().reduce(0) { $0 + $1.gradients.count }
    let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: count * rule.stateCount)
    memory.initialize(repeating: 0)
    var next = 0
    let pieces = cuts.map { cuts in
      cuts.map { cut in
        let states = (0..<rule.stateCount).map { _ in
          defer { next += cut.gradients.count }
          return UnsafeMutableBufferPointer(rebasing: memory[next..<next + cut.gradients.count])
        }
        let start = cut.gradients.lowerBound - layout.ranges[cut.parameter].lowerBound
        let state = StatePiece(parameter: cut.parameter, range: start..<start + cut.gradients.count, states: states)
        return (gradients: cut.gradients, state: state)
      }
    }
    let made = Storage(memory: memory, pieces: pieces)
    storage = made
    return made
  }
}
