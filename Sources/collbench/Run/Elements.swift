import Tutti

/// What the elements of a measurement are, and how they combine where they do.
struct Elements: Sendable, Equatable {
  var type: DataType
  var operation: ReduceOp
}

extension TestPattern {
  /// Makes the pattern of a rank's part in `subject`.
  init(_ subject: Subject, _ elements: Elements, rank: Int, rankCount: Int) {
    if subject.combines {
      self.init(rank: rank, rankCount: rankCount, type: elements.type, operation: elements.operation)
    } else {
      self.init(movingElementsOf: elements.type)
    }
  }
}
