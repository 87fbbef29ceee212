// Arithmetic on ranks that several algorithms share.

extension Int {
  /// The representative of `self` modulo `count` in `0..<count`, also for negative numbers.
  func wrapped(_ count: Int) -> Int {
    let remainder = self % count
    return remainder < 0 ? remainder + count : remainder
  }

  /// The logarithm to base 2, rounded down, of a positive number.
  var floorLog2: Int { Int.bitWidth - 1 - leadingZeroBitCount }

  /// The logarithm to base 2, rounded up, of a positive number.
  var ceilLog2: Int { self == 1 ? 0 : (self - 1).floorLog2 + 1 }
}

/// `count` consecutive numbers from `start` on, modulo `modulus`, at most `modulus` of them: no range, one, or two where
/// they wrap around.
func cyclicRanges(_ start: Int, _ count: Int, _ modulus: Int) -> [Range<Int>] {
  let first = start.wrapped(modulus)
  let end = first + count
  if count == 0 { return [] }
  return end <= modulus ? [first..<end] : [first..<modulus, 0..<end - modulus]
}
