/// How long a waiter spins, then yields, before it parks. Times in nanoseconds without progress.
///
/// A rank with a core of its own spins: waking from the kernel costs several exchanges. Where ranks share cores the
/// peer waited for may need this very core, so a waiter yields almost at once.
struct WaitingPolicy {
  /// Passes without progress before each is followed by a pause instruction, which gives way to the core's other thread, and takes up to
  /// 140 cycles.
  static let passesBeforePause = 64
  /// Passes without progress before the clock is looked at.
  let spinPasses: Int
  let yieldAfter: UInt64
  let parkAfter: UInt64
  /// The same for the progress thread, which must leave the core to computation.
  let backgroundParkAfter: UInt64 = 20_000

  /// - Parameter isOversubscribed: Whether the host's ranks outnumber the processors they may use.
  init(isOversubscribed: Bool) {
    if isOversubscribed {
      spinPasses = 1
      yieldAfter = 0
      parkAfter = 500_000
    } else {
      spinPasses = 256
      yieldAfter = 5_000
      parkAfter = 1_000_000
    }
  }
}
