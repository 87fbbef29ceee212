/// What a group of ranks computes together. Raw values travel between ranks, so they are never renumbered.
public enum Collective: UInt8, Sendable, Named {
  /// Every rank ends with the combination of all ranks' inputs.
  case allReduce = 1
  /// No rank leaves before every rank has entered. Carries no data.
  case barrier = 2
  /// Each rank r ends with block r of the combination of all ranks' inputs.
  case reduceScatter = 3
  /// Every rank ends with all ranks' blocks, in rank order.
  case allGather = 4
  /// Every rank ends with the root's input.
  case broadcast = 5
  /// The root ends with the combination of all ranks' inputs.
  case reduce = 6
  /// The root ends with all ranks' blocks, in rank order.
  case gather = 7
  /// Each rank r ends with block r of the root's input.
  case scatter = 8
  /// Block s of rank r's output is block r of rank s's input.
  case allToAll = 9

  public var name: String {
    switch self {
    case .allReduce: "all-reduce"
    case .barrier: "barrier"
    case .reduceScatter: "reduce-scatter"
    case .allGather: "all-gather"
    case .broadcast: "broadcast"
    case .reduce: "reduce"
    case .gather: "gather"
    case .scatter: "scatter"
    case .allToAll: "all-to-all"
    }
  }

  /// Whether one rank, the root, has a role of its own.
  public var hasRoot: Bool {
    switch self {
    case .broadcast, .reduce, .gather, .scatter: true
    case .allReduce, .barrier, .reduceScatter, .allGather, .allToAll: false
    }
  }

  /// Whether inputs are combined; otherwise data only moves.
  public var combines: Bool {
    switch self {
    case .allReduce, .reduce, .reduceScatter: true
    case .barrier, .allGather, .broadcast, .gather, .scatter, .allToAll: false
    }
  }

  /// Whether the data is one block for each rank, so that the chunk count is a multiple of the rank count: block b is the
  /// chunks `b * k ..< (b + 1) * k`.
  public var hasBlocks: Bool {
    switch self {
    case .reduceScatter, .allGather, .gather, .scatter, .allToAll: true
    case .allReduce, .barrier, .broadcast, .reduce: false
    }
  }
}
