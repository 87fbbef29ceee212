import TuttiSchedule

// What a rank does in a tree, whichever tree it is.

extension ScheduleBuilder {
  /// Adds a rank's part of a broadcast of the whole message: from the parent to the children, in their order.
  ///
  /// - Parameter parent: nil at the root, which has the data in its input.
  mutating func addBroadcast(from parent: Int?, to children: [Int]) {
    if let parent {
      receive([.output(0)], from: parent)
      send([.output(0)], to: children)
    } else {
      send([.input(0)], to: children)
      copy([.output(0)], from: [.input(0)])
    }
  }

  /// Adds a rank's part of a reduce of the whole message: folds the operands at once, and sends the result to the parent
  /// without storing it.
  ///
  /// - Parameters:
  ///   - operands: The rank's own input, alone at a leaf, and what its children sent, in the order in which they fold.
  ///   - parent: nil at the root, which keeps the result.
  mutating func addReduce(_ operands: [Operand], to parent: Int?) {
    guard let parent else {
      reduce([.output(0)], operands, completes: true)
      return
    }
    if operands.count == 1 {
      send([.input(0)], to: parent)
    } else {
      forward([.output(0)], operands, to: parent)
    }
  }
}
