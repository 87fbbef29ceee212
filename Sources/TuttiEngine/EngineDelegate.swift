import TuttiSystem
import TuttiTransport

/// Where the engine's links come from.
package protocol LinkSource: AnyObject, Sendable {
  /// A plan needs a link to `peer`. The rank whose turn it is to dial does so now, until `deadline`; the other
  /// returns at once. Either way the link comes through ``takeLinks()``. Called without the engine's lock.
  ///
  /// - Parameter giveUp: Asked now and then; what it returns is thrown.
  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport)

  /// Links that were opened since the last call. Called under the lock; must not block.
  func takeLinks() throws(FailureReport) -> [Link]

  /// Why `peer`, whose turn it is to open a link that has not come, will never do so; nil while it may. Called under the
  /// lock, now and then while nothing moves; must not block.
  func absence(of peer: Int) -> FailureReport?
}

/// What the engine asks of the layers that know the other ranks. Called without the engine's lock where it may block.
package protocol EngineDelegate: AnyObject, Sendable {
  /// A link has failed, or could not be opened. Returns the cause to report, once the control plane had a moment to know
  /// better.
  func cause(of loss: FailureReport) -> FailureReport

  /// Asks the other ranks why a call does not end, and returns once the rank at fault is known, or at `deadline` in
  /// nanoseconds of the engine's clock. Tells nobody. Called without the lock, while the call may still end.
  ///
  /// - Returns: What to report if it does not, naming the rank at fault; nil when the communicator has failed
  ///   meanwhile.
  func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport?

  /// The engine gives up: reports the cause to the other ranks. Returns the cause that all ranks throw, which may be an
  /// earlier one.
  func report(_ cause: FailureReport) -> FailureReport

  /// Revokes callers' memory from the other ranks of this process: returns once none of them can be reading or writing
  /// it any more. Called without the lock, after a failure and before it is thrown.
  func revokeMemory()

  /// What a person calls this call.
  func describe(_ call: CallRecord) -> String

  /// What a peer calls its operation of that number, asked for: takes up to 0.2 s. nil where it does not answer or
  /// does not know.
  func askCall(of peer: Int, operationNumber: UInt64) -> String?

  /// What a person calls so many elements of this type: `float32 x 10`.
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
