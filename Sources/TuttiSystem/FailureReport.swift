/// Says what went wrong, for every layer below the public API: who, what, why, and what to do.
///
/// One immutable box, so that throwing or storing a failure moves one word. `Tutti` wraps it as `TuttiError`.
package final class FailureReport: Error, Sendable {
  package let code: FailureCode
  /// The rank that observed the failure; -1 before a rank is known.
  package let rank: Int
  /// The rank at fault, or the peer waited for; -1 when no single rank is.
  package let peer: Int
  /// What happened, in one sentence without a trailing full stop.
  package let message: String
  /// What the reader can do about it; empty when there is nothing to do.
  package let advice: String
  /// The operation it happened in, as a person would write it: `all-reduce sum float32 x 1024`; empty outside one.
  package let operation: String
  /// The operation's number on its communicator, from 1; 0 outside an operation.
  package let operationNumber: UInt64
  /// Index of the plan's step that could not go on; -1 when not known.
  package let step: Int
  /// `tcp`, `shm`, ...; empty when no transport is involved.
  package let transport: String
  /// `errno` of the system call that failed; 0 when none did.
  package let systemError: Int32
  /// The failure that led to this one, where it is another: a store's own error, another rank's; nil when there is none.
  package let cause: FailureReport?

  package init(
    _ code: FailureCode, rank: Int = -1, peer: Int = -1, _ message: String, advice: String = "",
    operation: String = "", operationNumber: UInt64 = 0, step: Int = -1, transport: String = "",
    systemError: Int32 = 0, cause: FailureReport? = nil
  ) {
    self.code = code
    self.rank = rank
    self.peer = peer
    self.message = message
    self.advice = advice
    self.operation = operation
    self.operationNumber = operationNumber
    self.step = step
    self.transport = transport
    self.systemError = systemError
    self.cause = cause
  }

  /// Returns a copy in which the given values replace the old ones; everything else stays.
  package func with(
    code: FailureCode? = nil, rank: Int? = nil, peer: Int? = nil, message: String? = nil, advice: String? = nil,
    operation: String? = nil, operationNumber: UInt64? = nil, step: Int? = nil, transport: String? = nil,
    systemError: Int32? = nil, cause: FailureReport? = nil
  ) -> FailureReport {
    FailureReport(
      code ?? self.code, rank: rank ?? self.rank, peer: peer ?? self.peer, message ?? self.message,
      advice: advice ?? self.advice, operation: operation ?? self.operation,
      operationNumber: operationNumber ?? self.operationNumber, step: step ?? self.step,
      transport: transport ?? self.transport, systemError: systemError ?? self.systemError, cause: cause ?? self.cause)
  }

  /// Returns the failure with the rank that observed it, where a lower layer could not know it.
  package func observed(by rank: Int) -> FailureReport { self.rank >= 0 ? self : with(rank: rank) }
}

/// The kinds of failure; `Tutti` calls it `TuttiError.Code`. Raw values travel between ranks, so they are never renumbered.
public enum FailureCode: UInt8, Sendable, CaseIterable {
  /// An argument of a call cannot be used: an unknown algorithm, a count that does not fit. Nothing was sent or changed.
  case invalidArgument = 1
  /// Environment variables or options are missing, malformed, or contradict each other.
  case configuration = 2
  /// The ranks could not find each other.
  case rendezvous = 3
  /// A connection did not prove the job's secret.
  case authentication = 4
  /// Ranks speak different protocol versions.
  case version = 5
  /// Ranks disagree about the call they are in, or about what must be equal on all.
  case mismatch = 6
  /// A deadline passed; the error's peer is the rank at fault.
  case timeout = 7
  /// A peer's process ended, or its host cannot be reached.
  case peerLost = 8
  /// A system call or a device failed.
  case transport = 9
  /// The program aborted the communicator, on this rank or another.
  case aborted = 10
  /// The communicator was closed before the call.
  case closed = 11
  /// An algorithm failed its proof.
  case unproven = 12
  /// Memory, descriptors or another resource ran out.
  case resources = 13
  /// A gradient is infinite or not a number; the error's peer is the rank that made it. The communicator goes on.
  case nonFinite = 14
}

extension FailureReport: CustomStringConvertible {
  package var description: String {
    var text = rank >= 0 ? "rank \(rank): \(message)" : message
    if systemError != 0 { text += ": \(errorText(systemError))" }
    if !operation.isEmpty {
      text += " [\(operation)" + (operationNumber > 0 ? ", operation \(operationNumber)" : "")
      text += (step >= 0 ? ", step \(step)" : "") + (transport.isEmpty ? "" : ", over \(transport)") + "]"
    } else if !transport.isEmpty {
      text += " [over \(transport)]"
    }
    if !advice.isEmpty { text += ". " + advice }
    return cause.map { "\(text). Cause: \($0.description)" } ?? text
  }
}
