import TuttiSystem

/// Why a job could not be started. Ranks that had started already have ended again.
public struct LaunchError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kinds of reasons.
  public enum Code: Sendable, Hashable {
    /// The description of the job contradicts itself: no rank, a rank twice, a rank that the job does not have.
    case invalidJob
    /// A program does not exist or cannot be executed.
    case program
    /// A file for the output of a rank cannot be opened.
    case output
    /// A list of hosts, a hostfile or a remote shell's command says something that makes no sense.
    case hosts
    /// The system refused what starting a process needs: descriptors, memory, processes.
    case resources
  }

  /// The kind of reason.
  public let code: Code
  /// What happened, to whom, and what to do, in one or two sentences.
  public let description: String

  init(_ code: Code, _ description: String) { (self.code, self.description) = (code, description) }

  init(_ failure: FailureReport) { self.init(.resources, failure.description) }
}
