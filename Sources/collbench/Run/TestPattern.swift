import Tutti

/// The data that every run is checked against, bit for bit: a rank's input, and a result that is known without computing it
/// on a second path.
///
/// Where data is combined, an element's class (its place in the table) says what each rank has there. Where it only moves,
/// elements have numbers that no two elements of the job share, and the table makes bits of them: any misplaced element
/// shows.
package struct TestPattern: Sendable {
  package let input: PatternTable
  package let expected: PatternTable
  /// What the output holds beforehand, so that an element that nobody wrote is found.
  package let poison: PatternTable

  /// Makes the pattern of a collective that combines.
  package init(rank: Int, rankCount: Int, type: DataType, operation: ReduceOp) {
    let values = ReductionValues(type: type, operation: operation, rankCount: rankCount)
    input = PatternTable(elementBytes: type.size) { values.input(rank: rank, class: $0) }
    expected = PatternTable(elementBytes: type.size) { values.result(class: $0) }
    poison = expected.complement
  }

  /// Makes the pattern of a collective that only moves data.
  package init(movingElementsOf type: DataType) {
    input = PatternTable(elementBytes: type.size) { index in
      // The lowest byte differs among any 256 elements that follow one another, so that errors show in small cases and in
      // types of one byte, too.
      let number = UInt64(index)
      return mixed(number) & ~0xFF | (mixed(number >> 8) ^ number) & 0xFF
    }
    expected = input
    poison = input.complement
  }
}
