/// What a transport says about waiting for its links.
package struct WaitingHints: Hashable, Sendable {
  /// To sleep and be woken costs several system calls and an interrupt, so a waiter parks later.
  package var isWakingCostly = false
  /// A look at its links takes long enough by itself: between two of them a waiter needs no pause instruction, which in an emulated machine
  /// takes as long as a message, and looks at the clock less often.
  package var isPassLong = false

  package init(isWakingCostly: Bool = false, isPassLong: Bool = false) {
    self.isWakingCostly = isWakingCostly
    self.isPassLong = isPassLong
  }

  /// What holds where links of both kinds are waited for.
  package func union(_ other: WaitingHints) -> WaitingHints {
    WaitingHints(
      isWakingCostly: isWakingCostly || other.isWakingCostly, isPassLong: isPassLong || other.isPassLong)
  }
}
