/// Describes one rank of a job: the program, where it runs, and where its output goes.
public struct RankDescription: Sendable, Hashable {
  /// Where a rank runs.
  public enum Place: Sendable, Hashable {
    /// It runs on this machine.
    case here
    /// An agent starts it on a host, which may be this one.
    case host(LaunchHost)
  }

  /// Where the text goes that a rank prints on one of its streams.
  public enum Output: Sendable, Hashable {
    /// It goes where this process's own text goes.
    case inherited
    /// It is discarded.
    case discarded
    /// It goes to a file where the rank runs, which is created or emptied when the rank starts.
    case file(String)
  }

  /// The rank's number, from 0 to the job's number of ranks less one.
  public var rank: Int
  /// Where the rank runs.
  public var place: Place
  /// The program: a path or, without a slash, a name that is looked up in `PATH`.
  public var program: String
  /// The program's arguments, without its name.
  public var arguments: [String]
  /// Environment variables in addition to the job's and to this process's, or to those of the rank's host; they take
  /// precedence over both.
  public var environment: [String: String]
  /// Where its standard output goes.
  public var output: Output
  /// Where its standard error goes.
  public var errors: Output

  /// Describes a rank. By default, the standard output of rank 0 is inherited and that of the others discarded, and standard
  /// error is inherited.
  public init(
    rank: Int, program: String, arguments: [String] = [], environment: [String: String] = [:], place: Place = .here,
    output: Output? = nil, errors: Output = .inherited
  ) {
    self.rank = rank
    self.place = place
    self.program = program
    self.arguments = arguments
    self.environment = environment
    self.output = output ?? (rank == 0 ? .inherited : .discarded)
    self.errors = errors
  }
}
