/// Several started operations as one: of one communicator or of several, in any mixture.
///
/// A start does not wait for another rank's, so operations need no bracket around them, as NCCL's do, to keep them from
/// waiting for each other: start them, and wait for the group. The exception is ``CommunicatorOptions/checksStrictly``: the
/// start of a collective then waits until all ranks have started it, so collectives of several communicators are started in
/// the same order everywhere.
///
/// ```swift
/// let exchange = WorkGroup([
///   try communicator.startSend(outgoing, to: next),
///   try communicator.startReceive(into: incoming, from: previous),
///   try communicator.startAllReduce(gradients, .average),
/// ])
/// try exchange.wait()
/// ```
/// - SeeAlso: `ncclGroupStart`, `MPI_Waitall`.
public struct WorkGroup: Sendable {
  /// The operations, in the order they are waited for.
  public let works: [Work]

  /// A group of operations that were started already.
  public init(_ works: [Work]) { self.works = works }

  /// Whether all operations have ended well.
  public var isDone: Bool { works.allSatisfy(\.isDone) }

  /// Blocks until all operations have ended; this thread makes the progress meanwhile.
  ///
  /// - Throws: ``TuttiError``, the first in the order of ``works``: its communicator is then aborted.
  @available(*, noasync, message: "use 'try await group.finish()'")
  public func wait() throws(TuttiError) {
    for work in works { try work.wait() }
  }

  /// Suspends until all operations have ended. Cancelling the task changes nothing.
  ///
  /// - Throws: ``TuttiError``, like ``wait()``.
  public func finish() async throws(TuttiError) {
    for work in works { try await work.finish() }
  }
}
