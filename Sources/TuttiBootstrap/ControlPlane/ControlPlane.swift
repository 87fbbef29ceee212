import TuttiSystem
import TuttiTransport

/// What a rank says about itself when another one looks for the cause of a time-out.
package struct RankStatus: Hashable, Sendable {
  /// Number of the operation last entered; 0 before the first.
  package var entered: UInt64
  /// Number of the operation up to which all are completed.
  package var completed: UInt64
  /// The rank it waits for now; -1 when it waits for none.
  package var waitingFor: Int
  /// The operation last entered, as a person would write it; outside of one, the send or receive it waits in, if it does.
  package var operation: String

  /// The operation that was asked about; nil where none was, or it has not been called, or is not known any more.
  package var asked: CallDescription?
  /// What is known to be wrong with the way to one of its peers, as a clause that follows the rank; empty where nothing is.
  package var trouble: String

  package init(
    entered: UInt64 = 0, completed: UInt64 = 0, waitingFor: Int = -1, operation: String = "",
    asked: CallDescription? = nil,
    trouble: String = ""
  ) {
    self.asked = asked
    self.trouble = trouble
    self.entered = entered
    self.completed = completed
    self.waitingFor = waitingFor
    self.operation = operation
  }

  var isInside: Bool { entered > completed }
}

/// What a rank's runtime does with the control plane's news. No handler may block or call back into the control plane's
/// ``ControlPlane/diagnoseTimeout(_:until:)`` or ``ControlPlane/causeOfLoss(of:otherwise:)``.
package struct ControlHandlers: Sendable {
  /// A peer has dialed this rank for a data link and proved the secret. The connection's socket is non-blocking,
  /// close-on-exec, registered with `tutti_register_descriptor`. Called on the service thread.
  package var onConnection: @Sendable (_ peer: Int, _ transport: TransportKind, _ connection: consuming Connection) -> Void
  /// The communicator has failed: the first cause. Called once: on the service thread, on the thread that reported it, or,
  /// for one that came before the handlers, on the thread that sets them.
  package var onFailure: @Sendable (FailureReport) -> Void
  /// Says what this rank is doing, and what its operation of a number is: 0 for none. Called on the service thread.
  package var status: @Sendable (_ operationNumber: UInt64) -> RankStatus
  /// The process exits without having left. What was sent must be on its way when this returns. Called on the exiting
  /// thread.
  package var onExit: @Sendable () -> Void

  package init(
    onConnection:
      @escaping @Sendable (_ peer: Int, _ transport: TransportKind, _ connection: consuming Connection) -> Void,
    onFailure: @escaping @Sendable (FailureReport) -> Void,
    status: @escaping @Sendable (_ operationNumber: UInt64) -> RankStatus, onExit: @escaping @Sendable () -> Void = {}
  ) {
    self.onConnection = onConnection
    self.onFailure = onFailure
    self.status = status
    self.onExit = onExit
  }
}

/// A wait that has reached its deadline, or soon will.
package struct ExpiredWait: Sendable {
  /// 0 for a send or receive, which is not numbered with the operations.
  package var operationNumber: UInt64
  /// The operation as a person would write it: `all-reduce sum float32 x 1024`.
  package var operation: String
  /// What tells it from another call of its number: ``CallDescription/identity``; 0 for a send or receive.
  package var identity: UInt64
  /// The rank this rank waits for; -1 when it is not one rank.
  package var waitingFor: Int
  package var timeoutSeconds: Double
  /// The plan's step; -1 when not known.
  package var step: Int
  /// The transport of the link waited on; empty when not known.
  package var transport: String
  /// What is known to be wrong with this rank's way to a peer, as in ``RankStatus/trouble``.
  package var trouble: String

  package init(
    operationNumber: UInt64, operation: String, identity: UInt64 = 0, waitingFor: Int, timeoutSeconds: Double,
    step: Int = -1, transport: String = "", trouble: String = ""
  ) {
    self.identity = identity
    self.trouble = trouble
    self.operationNumber = operationNumber
    self.operation = operation
    self.waitingFor = waitingFor
    self.timeoutSeconds = timeoutSeconds
    self.step = step
    self.transport = transport
  }
}

/// Lets the ranks of one communicator fail together, and find the rank at fault. Each rank has one object.
///
/// Everything may be called from any thread.
package protocol ControlPlane: AnyObject, Sendable {
  var rank: Int { get }
  var rankCount: Int { get }

  /// Sets the handlers, once. What came before is delivered now, on the calling thread.
  func activate(_ handlers: ControlHandlers)

  /// Makes `cause` the communicator's failure on all ranks, unless it already has one. Local, bounded (100 ms), idempotent.
  /// The news is handed to the kernel before this returns, so the process may exit right after.
  func report(_ cause: FailureReport)

  /// Why the communicator failed; nil while it has not.
  var firstCause: FailureReport? { get }

  /// Finds out why the link to `peer` failed. Waits up to 400 ms for news of a death, a departure, or a cause from
  /// elsewhere.
  ///
  /// - Returns: The cause to report and throw: the first cause, or what is known about the peer, or `otherwise`.
  func causeOfLoss(of peer: Int, otherwise: FailureReport) -> FailureReport

  /// Follows the chain of waits and names the rank at fault: the nearest one that does not answer within 200 ms, or the one
  /// that has not entered the operation, or the chain's end. Ends at `deadline`, and tells nobody: the wait may still end
  /// well.
  ///
  /// - Parameter deadline: In monotonic nanoseconds.
  /// - Returns: The report to throw at the time-out: `.timeout` with ``FailureReport/peer`` at fault, or `.mismatch` when
  ///   that rank is in another call. nil when the communicator has failed meanwhile.
  func diagnoseTimeout(_ wait: ExpiredWait, until deadline: UInt64) -> FailureReport?

  /// Asks a peer what its operation of that number is. Waits up to 200 ms for the answer.
  ///
  /// - Returns: nil where it does not answer, has made no such call yet or does not know it any more, and where the
  ///   communicator has failed meanwhile.
  func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription?

  /// Leaves in good order: says goodbye, so that the end of this process is not a death, and gives up every descriptor.
  /// After it, and in a forked child, the other calls do nothing. Idempotent.
  func leave()
}

extension ControlPlane {
  /// The cause where a link failed because its peer has left in good order.
  ///
  /// - Parameter loss: What the link says.
  func causeOfDeparture(of peer: Int, named name: String, _ loss: FailureReport) -> FailureReport {
    FailureReport(
      .peerLost, rank: rank, peer: peer, "\(name) closed its communicator while this rank still waited for it",
      advice: "All ranks must make the same calls before any of them closes", operation: loss.operation,
      operationNumber: loss.operationNumber, step: loss.step, transport: loss.transport)
  }
}
