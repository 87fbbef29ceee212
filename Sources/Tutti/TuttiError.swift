import TuttiSystem

/// Why a call failed: who, what, why, and what to do about it. One word; boxed.
///
/// After an error of a collective the communicator is aborted: every pending and later call on it throws the first cause, on every rank.
public struct TuttiError: Error, Sendable, CustomStringConvertible {
  /// The kinds of error.
  public enum Code: String, Sendable {
    /// An argument cannot be met: an unknown algorithm, a count that does not fit.
    case invalidArgument
    /// Environment variables or options are missing, malformed, or contradict each other.
    case configuration
    /// The ranks could not find each other.
    case rendezvous
    /// A connection did not prove the job's secret.
    case authentication
    /// Ranks speak different protocol versions.
    case version
    /// Ranks disagree about the call they are in, or about what must be equal on all.
    case mismatch
    /// A deadline passed; ``TuttiError/peer`` is the rank at fault.
    case timeout
    /// A peer's process ended, or its host cannot be reached.
    case peerLost
    /// A system call or a device failed.
    case transport
    /// The program aborted the communicator.
    case aborted
    /// The communicator was closed before the call.
    case closed
    /// An algorithm failed its proof.
    case unproven
    /// Memory, descriptors or another resource ran out.
    case resources
    /// A gradient is infinite or not a number; ``TuttiError/peer`` is the rank that made it. The communicator goes on.
    case nonFinite
  }

  package let report: FailureReport

  package init(_ report: FailureReport) { self.report = report }

  /// The kind of error, for programs.
  public var code: Code {
    switch report.code {
    case .invalidArgument: .invalidArgument
    case .configuration: .configuration
    case .rendezvous: .rendezvous
    case .authentication: .authentication
    case .version: .version
    case .mismatch: .mismatch
    case .timeout: .timeout
    case .peerLost: .peerLost
    case .transport: .transport
    case .aborted: .aborted
    case .closed: .closed
    case .unproven: .unproven
    case .resources: .resources
    case .nonFinite: .nonFinite
    }
  }

  /// What happened, in one sentence.
  public var message: String { report.message }
  /// What can be done; empty when nothing can.
  public var advice: String { report.advice }
  /// The rank that noticed; nil outside a communicator.
  public var rank: Int? { report.rank >= 0 ? report.rank : nil }
  /// The rank at fault; nil when no single one is.
  public var peer: Int? { report.peer >= 0 ? report.peer : nil }
  /// The call, such as `all-reduce sum float32 x 1024`; empty outside one.
  public var operation: String { report.operation }
  /// The call's number on its communicator, from 1; 0 outside a call.
  public var operationNumber: UInt64 { report.operationNumber }
  /// The schedule's step that could not go on; nil when not known.
  public var step: Int? { report.step >= 0 ? report.step : nil }
  /// `tcp`, `shm`, `inprocess`; empty when no transport is involved.
  public var transport: String { report.transport }
  /// The `errno` of the system call that failed; 0 when none did.
  public var systemError: Int32 { report.systemError }
  /// The error that led to this one, such as that of a ``Rendezvous`` of the caller's; nil when there is none.
  public var cause: TuttiError? { report.cause.map(TuttiError.init) }

  /// All of it in a few sentences, for people.
  public var description: String { report.description }
}
