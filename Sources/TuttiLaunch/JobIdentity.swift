import Glibc
import TuttiSystem

/// What makes a set of ranks one job: their number, where they meet, and the secret that they share.
public struct JobIdentity: Sendable, Hashable {
  /// The variables by which launchers tell a process its rank and its job. What another launcher has left in them never
  /// reaches a rank.
  public static let variables = [
    "TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET", "TUTTI_SECRET_FILE", "RANK", "WORLD_SIZE",
    "MASTER_ADDR", "MASTER_PORT",
  ]
  /// Variables by which MPI's launchers tell the same.
  static let othersVariables = [
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMI_FD", "PMI_JOBID",
  ]

  /// The number of all ranks of the job.
  public let rankCount: Int
  let rendezvous: String
  let secret: String
  /// A word that no other job has.
  var name: String { String(rendezvous.dropFirst("unix:@".count)) }

  /// Makes the identity of a new job of this machine, with a secret that nobody else knows.
  ///
  /// - Parameter rankCount: The number of all ranks of the job, including those that are started elsewhere.
  /// - Throws: ``LaunchError`` with `.invalidJob` without a rank, `.resources` when the kernel has no random numbers.
  public init(rankCount: Int) throws(LaunchError) {
    guard rankCount > 0 else { throw LaunchError(.invalidJob, "a job of \(rankCount) ranks: it must have at least one.") }
    self.rankCount = rankCount
    do throws(FailureReport) {
      rendezvous = "unix:@tutti-\(try randomHex(bytes: 16))"
      secret = try randomHex(bytes: 32)
    } catch { throw LaunchError(error) }
  }

  /// Returns the environment of a rank: this process's, with `TUTTI_RANK`, `TUTTI_SIZE`, `TUTTI_RENDEZVOUS` and
  /// `TUTTI_SECRET` of the job.
  ///
  /// A process that is itself a rank of the job gives this to `Communicator.join(environment:)`.
  public func environment(rank: Int) -> [String: String] {
    var variables = currentEnvironment()
    for name in Self.variables { variables[name] = nil }
    variables["TUTTI_RANK"] = "\(rank)"
    variables["TUTTI_SIZE"] = "\(rankCount)"
    variables["TUTTI_RENDEZVOUS"] = rendezvous
    variables["TUTTI_SECRET"] = secret
    return variables
  }
}

/// The environment of this process.
package func currentEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  var cursor = environ
  while let entry = cursor.pointee {
    let text = String(cString: entry)
    if let sign = text.firstIndex(of: "=") { variables[String(text[..<sign])] = String(text[text.index(after: sign)...]) }
    cursor += 1
  }
  return variables
}

/// The folder that this process is in; nil where it has gone.
func currentFolder() -> String? {
  guard let path = getcwd(nil, 0) else { return nil }
  defer { free(path) }
  return String(cString: path)
}
