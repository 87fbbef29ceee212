import TuttiAlgorithms
import TuttiSchedule
import TuttiTransport

/// How a communicator is made. Equal on all ranks, but for the time limits.
public struct CommunicatorOptions: Sendable {
  /// Which transport carries the data. Where the one asked for cannot, that is an error; no other takes its place.
  public var transport = TransportChoice.auto
  /// Wall-clock limit of an operation that does not set its own.
  public var timeout = Duration.seconds(300)
  /// Wall-clock limit of joining; nil for `TUTTI_TIMEOUT`, or else 60 seconds and an eighth of a second for each rank.
  public var joinTimeout: Duration?
  /// Whether all ranks agree on each call before it begins, so that a mismatch leaves buffers untouched; costs a small
  /// all-reduce a call, and a start then waits for all ranks to start. `TUTTI_CHECK=strict` turns it on.
  public var checksStrictly = false

  /// What the bits of floating-point sums, products and averages may depend on; nil for what `TUTTI_BITS` says (`any`,
  /// `class` or `canonical`), or else `class`. See `docs/REPRODUCIBILITY.md`.
  public var bits: ResultBits?

  /// Whether connections over TCP speak TLS 1.3, with keys from the job's secret; nil for what `TUTTI_TLS` says, or else
  /// not.
  ///
  /// What stays inside a host, in shared memory and Unix sockets, is not encrypted. RDMA cannot be encrypted: asking for it
  /// is an error, and otherwise TCP takes its place, with a warning. TLS needs a secret, and OpenSSL 3 where the program
  /// runs: see `docs/SECURITY.md`.
  public var tls: Bool?

  /// The network that the job runs on; nil for what its ranks know of one another, or for the file that `TUTTI_TOPOLOGY`
  /// names. It must have as many ranks as the job.
  public var topology: JobTopology?

  /// Measurements of the machines, by which `auto` chooses; nil for the file that `TUTTI_TUNING` names, or else that of the
  /// user's configuration (`docs/TUNING.md`). All ranks use rank 0's; another rank sets the same, or nil.
  public var tuning: JobTuning?

  /// Algorithms of the caller's own: each has a name that no other algorithm of its collective has. They are asked for by
  /// name, and take part in `auto` where a tuning profile has times of theirs.
  ///
  /// Each is proven on every rank before it first runs with a rank count and root. A call of one that fails throws
  /// `.unproven` on every rank, and changes nothing. See <doc:WritingAnAlgorithm>.
  public var algorithms: [any Algorithm] = []
  /// Whether ``algorithms`` may run on more than 512 ranks, where they are not proven.
  public var allowsUnprovenAlgorithms = false

  /// The transports that joins choose from. Equal on all ranks; a test adds one of its own.
  package var transports = BuiltInTransports.all

  /// The defaults: any transport, five minutes for an operation, no algorithms of the caller's own.
  public init() {}
}
