/// How the envelopes of one peer are received. One thread at a time *looks*: it starts the transfer of the next envelope, or
/// gives it the limit of the receives that wait. Another that comes meanwhile leaves word, and the first looks again: so the
/// limit that was set last is always that of all receives.
struct Listening {
  /// An envelope is awaited, or being looked at.
  private(set) var isBusy = false
  /// The ticket of the transfer that receives the envelope.
  private(set) var ticket: UInt64?
  private var isLooking = false
  private var isLeftWord = false

  /// Begins a look. Returns false where another thread looks, which will do so again.
  mutating func beginLook() -> Bool {
    isLeftWord = isLooking
    if isLooking { return false }
    isLooking = true
    return true
  }

  /// Ends a look. Returns whether to look once more, because another thread has left word.
  mutating func endLook() -> Bool {
    isLooking = isLeftWord
    isLeftWord = false
    return isLooking
  }

  /// Gives up a look that has failed. Returns whether another thread relies on it.
  mutating func failLook() -> Bool {
    defer { (isBusy, isLooking, isLeftWord) = (false, false, false) }
    return isLeftWord
  }

  mutating func beginTransfer() { isBusy = true }

  mutating func note(_ ticket: UInt64) { self.ticket = ticket }

  /// Notes that the envelope has been dealt with.
  mutating func endTransfer() { (isBusy, ticket) = (false, nil) }
}
