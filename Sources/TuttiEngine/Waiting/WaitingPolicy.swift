import TuttiTransport

/// Says how long a waiter spins, then yields, before it parks. Times are in nanoseconds without progress.
///
/// A rank with a core of its own spins: waking from the kernel costs several exchanges. Where ranks share cores the
/// peer waited for may need this very core, so a waiter yields almost at once.
struct WaitingPolicy {
  /// Passes without progress before each is followed by a pause instruction, which gives way to the core's other
  /// thread, and takes up to 140 cycles.
  let passesBeforePause: Int
  /// Passes without progress before the clock is looked at.
  let spinPasses: Int
  /// From then on, passes from one look at the clock, and at all that could be wrong, to the next.
  let passesBetweenLooks: Int
  let yieldAfter: UInt64
  let parkAfter: UInt64
  /// When the progress thread parks, which must leave the core to computation.
  let backgroundParkAfter: UInt64 = 20_000

  /// - Parameters:
  ///   - isOversubscribed: Whether the host's ranks outnumber the processors they may use.
  ///   - hints: What the transports of this rank's links say.
  init(isOversubscribed: Bool, _ hints: WaitingHints = WaitingHints()) {
    if isOversubscribed {
      spinPasses = 1
      passesBetweenLooks = 1
      yieldAfter = 0
      parkAfter = hints.isWakingCostly ? 2_000_000 : 500_000
    } else {
      spinPasses = 256
      passesBetweenLooks = hints.isPassLong ? 16 : 1
      yieldAfter = hints.isWakingCostly ? 0 : 5_000
      parkAfter = hints.isWakingCostly ? 10_000_000 : 1_000_000
    }
    passesBeforePause = hints.isPassLong ? .max : 64
  }
}
