import Tutti

/// A part of one parameter, with what an optimizer needs to update it.
public struct ParameterPiece<Element: TrainingElement> {
  /// Index of the parameter.
  public let parameter: Int
  /// The range of its elements.
  public let range: Range<Int>
  /// The values to update: shape `[range.count]`.
  public let values: UnsafeMutableBufferPointer<Element>
  /// The reduced gradients: shape `[range.count]`.
  public let gradients: UnsafeBufferPointer<Element>
  /// The state that the rule keeps for each element: ``UpdateRule/stateCount`` arrays of shape `[range.count]`, zero at
  /// first.
  public let states: [UnsafeMutableBufferPointer<Element>]

  /// Makes a piece, for tests of a rule. All buffers have `range.count` elements.
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

/// A rule by which an optimizer updates each element of a parameter from its gradient and its own state alone, such as SGD,
/// momentum or Adam.
///
/// A loop over generic elements is slow when it is called from another module. Give `update` the attribute
/// `@specialized(where Element == Float)`, or conform a type that is not generic.
public protocol UpdateRule<Element>: Sendable {
  /// The type of the parameters' elements.
  associatedtype Element: TrainingElement
  /// How many numbers are kept for each element: 0 for plain SGD, 1 with momentum, 2 for Adam.
  var stateCount: Int { get }
  /// Updates the values of a piece. The result must not depend on how parameters are cut into pieces.
  ///
  /// - Parameter step: The number of the step, from 1.
  func update(_ piece: ParameterPiece<Element>, step: Int)
}

/// Updates parameters with reduced gradients, and keeps the rule's state for them: all of it or, with
/// ``GradientSharding/sharded``, this rank's shard.
///
/// When sharded, each rank updates its part and all gather the values. The result is the same, with 1/n of the state on each
/// rank.
///
/// - SeeAlso: Rajbhandari et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, SC 2020.
public final class ShardedOptimizer<Rule: UpdateRule> {
  /// The type of the parameters' elements.
  public typealias Element = Rule.Element

  /// A part of a parameter whose state this rank holds.
  public struct StatePiece {
    /// Index of the parameter.
    public let parameter: Int
    /// The range of its elements.
    public let range: Range<Int>
    /// One array of shape `[range.count]` for each number that the rule keeps.
    public let states: [UnsafeMutableBufferPointer<Element>]
  }

  /// The rule. It may be changed between steps, alike on all ranks, so that a learning rate can follow a schedule.
  public var rule: Rule
  /// The number of steps made so far. Set it when you restore a checkpoint.
  public var stepCount = 0

  private let synchronizer: GradientSynchronizer<Element>
  private var storage: Storage?

  /// The state for the current buckets, in memory of its own.
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

  /// The number of bytes of state that this rank holds. As with ``states``, buckets stay as they are once this has been
  /// read.
  public var stateBytes: Int { prepared().memory.count * MemoryLayout<Element>.stride }

  /// The pieces that this rank holds state for, with the state: save it, or fill it when you restore a checkpoint.
  ///
  /// When sharded, the pieces of all ranks together cover each parameter once; otherwise every rank has all of them. Buckets
  /// stay as they are once this has been read, so read it after the first step, or give ``SynchronizerOptions/readyOrder``.
  public var states: [StatePiece] { prepared().pieces.flatMap { $0.map(\.state) } }

  /// Updates the parameters with the gradients. Every rank calls this after ``GradientSynchronizer/finish()``. When sharded,
  /// gradients are zero afterwards.
  ///
  /// - Throws: ``TuttiError``: `.invalidArgument` without a ``GradientSynchronizer/finish()`` since the last step; when
  ///   sharded, also as any collective does, and parameters are then unspecified.
  @available(*, noasync, message: "a sharded step blocks its thread")
  public func step() throws(TuttiError) {
    try synchronizer.takeResults()
    let storage = prepared()
    let conductor = synchronizer.conductor
    let memory = conductor.memory
    stepCount += 1
    let isSharded = synchronizer.options.sharding == .sharded
    var gathers: [(bucket: Int, work: Work)] = []
    // The parameters that the next forward pass needs first come first.
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
        // Values travel in the memory of their gradients, which are no longer needed.
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
    // The parts of parameters in this rank's part of each bucket.
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
