/// How the last step's synchronisation went on this rank. Instants are of `ContinuousClock`.
public struct SynchronizationReport: Sendable {
  /// One bucket's way.
  public struct Bucket: Sendable {
    /// The parameters whose gradients are in it.
    public let parameters: [Int]
    /// Bytes in memory; on the wire half of them, if gradients have 16 bits there.
    public let bytes: Int
    /// When its last gradient was marked ready.
    public let ready: ContinuousClock.Instant
    /// When its reduction was started.
    public let started: ContinuousClock.Instant
    /// When the result was there.
    public let ended: ContinuousClock.Instant
  }

  /// In the order in which they were started.
  public let buckets: [Bucket]
  /// When ``GradientSynchronizer/finish()`` was called: the end of the backward pass.
  public let finishBegan: ContinuousClock.Instant
  /// When all results were there.
  public let finishEnded: ContinuousClock.Instant
  /// By parameter, how many ranks marked it ready; 0 for one that no rank used in this step.
  public let uses: [Int]

  /// The communication that computation did not hide.
  public var exposed: Duration { finishEnded - finishBegan }
}
