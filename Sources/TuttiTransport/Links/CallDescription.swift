/// Says what a rank called: to people in words, and to other ranks as a number.
package struct CallDescription: Hashable, Sendable {
  /// The call as a person would write it: `all-reduce sum float32 x 1024 (ring)`.
  package let words: String
  /// Equal on two ranks when they made the same call. The words cannot tell that: they may be cut short on their way, and
  /// may say what rightly differs between ranks.
  package let identity: UInt64

  package init(_ words: String, identity: UInt64) {
    self.words = words
    self.identity = identity
  }
}
