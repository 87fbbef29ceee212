/// One rank of a job: what runs as it, where, and what becomes of its output.
public struct RankDescription: Sendable, Hashable {
  /// Where a rank runs.
  public enum Place: Sendable, Hashable {
    /// On this machine.
    case here
  }

  /// What becomes of what a rank prints on one of its streams.
  public enum Output: Sendable, Hashable {
    /// It goes where this process's own goes.
    case inherited
    /// It is lost.
    case discarded
    /// It goes to a file, which is made, or emptied, when the rank starts.
    case file(String)
  }

  /// From 0 to the job's number of ranks less one.
  public var rank: Int
  public var place: Place
  /// A path, or, without a slash, a name that is looked up in `PATH`.
  public var program: String
  /// Without the program's name.
  public var arguments: [String]
  /// Variables in addition to the job's and to this process's; they win over both.
  public var environment: [String: String]
  public var output: Output
  public var errors: Output

  /// Describes a rank of which standard output is inherited by rank 0, and lost of the others, and standard error is
  /// inherited.
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
