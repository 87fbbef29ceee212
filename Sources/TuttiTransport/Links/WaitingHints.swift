/// What a transport says about waiting for its links.
package struct WaitingHints: Hashable, Sendable {
  /// Whether sleeping and being woken costs several system calls and an interrupt, so that a waiter should park later.
  package var isWakingCostly = false
  /// Whether a look at its links takes long enough by itself. Between two looks a waiter then needs no pause instruction,
  /// which in an emulated machine takes as long as a message, and it looks at the clock less often.
  package var isPassLong = false

  package init(isWakingCostly: Bool = false, isPassLong: Bool = false) {
    self.isWakingCostly = isWakingCostly
    self.isPassLong = isPassLong
  }

  /// The hints for waiting for links of both kinds.
  package func union(_ other: WaitingHints) -> WaitingHints {
    WaitingHints(
      isWakingCostly: isWakingCostly || other.isWakingCostly, isPassLong: isPassLong || other.isPassLong)
  }
}
