/// Reports how the last step's synchronisation went on this rank. Instants are of `ContinuousClock`.
public struct SynchronizationReport: Sendable {
  /// The times of one bucket.
  public struct Bucket: Sendable {
    /// The parameters whose gradients are in it.
    public let parameters: [Int]
    /// Its bytes in memory; half of them on the wire, if gradients have 16 bits there.
    public let bytes: Int
    /// When its last gradient was marked ready.
    public let ready: ContinuousClock.Instant
    /// When its reduction was started.
    public let started: ContinuousClock.Instant
    /// When the result had arrived.
    public let ended: ContinuousClock.Instant
  }

  /// The buckets, in the order in which they were started.
  public let buckets: [Bucket]
  /// When ``GradientSynchronizer/finish()`` was called: the end of the backward pass.
  public let finishBegan: ContinuousClock.Instant
  /// When all results had arrived.
  public let finishEnded: ContinuousClock.Instant
  /// By parameter, how many ranks marked it ready; 0 for one that no rank used in this step.
  public let uses: [Int]

  /// The communication that computation did not hide.
  public var exposed: Duration { finishEnded - finishBegan }
}
