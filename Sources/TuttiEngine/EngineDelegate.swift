import TuttiSystem
import TuttiTransport

/// Where the engine's links come from.
package protocol LinkSource: AnyObject, Sendable {
  /// Opens the link to `peer` that a plan needs: dials, until `deadline`, where that is for this rank to do, and returns at
  /// once where it is for the peer. Either way the link comes through ``takeLinks()``. Called without the engine's lock.
  ///
  /// - Parameter giveUp: Asked now and then; what it returns is thrown.
  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport)

  /// Takes the links that were opened since the last call. Called under the lock; must not block.
  func takeLinks() throws(FailureReport) -> [Link]

  /// Says why `peer`, which has to dial a link that has not come, will never do so; nil while it may. Called under the
  /// lock, now and then while nothing moves; must not block.
  func absence(of peer: Int) -> FailureReport?
}

/// What the engine asks of the layers that know the other ranks. Called without the engine's lock where it may block.
package protocol EngineDelegate: AnyObject, Sendable {
  /// Finds the cause to report for a link that has failed or could not be opened. Gives the control plane a moment to know a
  /// better one.
  func cause(of loss: FailureReport) -> FailureReport

  /// Asks the other ranks why a call does not end, and returns once the rank at fault is known, or at `deadline` in
  /// nanoseconds of the engine's clock. Tells nobody. Called without the lock, while the call may still end.
  ///
  /// - Returns: What to report if it does not, naming the rank at fault; nil when the communicator has failed
  ///   meanwhile.
  func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport?

  /// Reports to the other ranks why the engine gives up. Returns the cause that all ranks throw, which may be an earlier
  /// one.
  func report(_ cause: FailureReport) -> FailureReport

  /// Revokes callers' memory from the other ranks of this process: returns once none of them can be reading or writing
  /// it any more. Called without the lock, after a failure and before it is thrown.
  func revokeMemory()

  /// Describes a call of this rank to people and to other ranks.
  func describe(_ call: CallRecord) -> CallDescription

  /// Asks a peer what its operation of that number is, which takes up to 0.2 s. nil where it does not answer, has made no
  /// such call yet, or does not know it any more.
  func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription?

  /// Describes so many elements of this type to people: `float32 x 10`.
  func describeElements(dataType: UInt8, count: UInt64) -> String
}

/// Makes the plans that the engine runs: which algorithm serves a call, and its steps in bytes.
package protocol PlanMaker: Sendable {
  /// Makes the plan for a key that is not cached. Called without the engine's lock, by any thread.
  ///
  /// - Parameter blocks: See ``Request/blocks``.
  /// - Throws: What all ranks throw alike for this key; the communicator goes on.
  func makePlan(_ key: PlanKey, blocks: [UInt64]?) throws(FailureReport) -> CompiledPlan
}
