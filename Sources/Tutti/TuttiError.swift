import TuttiSystem

/// Why a call failed: who, what, why, and what to do about it. It is one word in size, so that throwing it is cheap.
///
/// After an error of a collective the communicator is aborted: every pending and later call on it throws the first cause, on
/// every rank.
public struct TuttiError: Error, Sendable, CustomStringConvertible {
  /// The kinds of error.
  public typealias Code = FailureCode

  package let report: FailureReport

  package init(_ report: FailureReport) { self.report = report }

  /// The kind of error, for programs.
  public var code: Code { report.code }

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
  /// The transport that failed, such as ``TransportChoice/tcp`` or ``TransportChoice/rdma``; nil when none is involved.
  public var transport: TransportChoice? {
    report.transport.isEmpty ? nil : TransportChoice(named: report.transport)
  }
  /// The `errno` of the system call that failed; 0 when none did.
  public var systemError: Int32 { report.systemError }
  /// The error that led to this one, such as that of a ``Rendezvous`` of the caller's; nil when there is none.
  public var cause: TuttiError? { report.cause.map(TuttiError.init) }

  /// The whole error in a few sentences, for people.
  public var description: String { report.description }
}
