import TuttiSchedule

/// One remembered plan; a key hashes to one place.
struct PlanMemo {
  /// More sizes than most programs use, in no more memory than a small cache has.
  static let count = 512

  var key = PlanKey(collective: .barrier, algorithm: 0, dataType: 0, inPlace: false, count: .max)
  var plan: Unmanaged<CompiledPlan>?

  @inline(__always)
  static func place(_ key: PlanKey) -> Int {
    // Fibonacci hashing: the top bits of a product mix all bits below.
    let mixed = (key.count ^ (key.packed &* 0x9E37_79B9_7F4A_7C15)) &* 0x9E37_79B9_7F4A_7C15
    return Int(mixed >> 55)
  }
}
