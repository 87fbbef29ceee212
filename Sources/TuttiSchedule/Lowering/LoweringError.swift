/// Why a schedule cannot be lowered: it is malformed, or no order of execution can serve it.
///
/// The verifier turns it into a ``ProofFailure``; a schedule that was proven never causes one.
package struct LoweringError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// A chunk, range, scratch buffer or slot that does not exist, or a count beyond 64 bits.
    case bounds
    /// A rank that does not exist, is the rank itself or is named twice; a channel that does not exist.
    case address
    /// Two lists of ranges that must have equal sizes do not.
    case sizes
    /// Messages of one lane would be consumed in another order than they are received.
    case order
    /// A step writes what it reads at another position, or writes one place twice.
    case overlap
  }

  package let kind: Kind
  /// The rank whose schedule it is.
  package let rank: Int
  /// Index of the schedule's step; -1 when it is the schedule as a whole.
  package let step: Int
  /// The chunk concerned; -1 when there is none.
  package let chunk: Int
  package let expected: String
  package let found: String

  package init(_ kind: Kind, rank: Int, step: Int, chunk: Int = -1, expected: String, found: String) {
    self.kind = kind
    self.rank = rank
    self.step = step
    self.chunk = chunk
    self.expected = expected
    self.found = found
  }

  package var description: String {
    let place = step >= 0 ? "step \(step) of rank \(rank)" : "the schedule of rank \(rank)"
    return "\(place) cannot be lowered: expected \(expected), found \(found)"
  }
}
