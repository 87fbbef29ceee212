// Joining where the caller says who this rank is and where the ranks meet, instead of the environment.

import TuttiBootstrap
import TuttiSystem

/// Where ranks that do not know each other yet leave values for each other.
public typealias Rendezvous = TuttiBootstrap.Rendezvous
/// What a ``Rendezvous`` must be able to hold.
public typealias RendezvousLimits = TuttiBootstrap.RendezvousLimits

/// The secret that every connection of a communicator must prove to know. Of the same kind on all ranks.
public struct JoinSecret: Sendable {
  package enum Kind {
    case environment
    case bytes([UInt8])
    case published
  }

  package let kind: Kind

  /// The secret of `TUTTI_SECRET` or `TUTTI_SECRET_FILE`; with `TUTTI_ALLOW_UNAUTHENTICATED=1` there may be none.
  public static let environment = JoinSecret(kind: .environment)

  /// Bytes that all ranks have from elsewhere. A store never sees them.
  ///
  /// - Parameter bytes: Random ones, 32 for example: short or guessable ones can be found out.
  public static func bytes(_ bytes: [UInt8]) -> JoinSecret { JoinSecret(kind: .bytes(bytes)) }

  /// A random secret that rank 0 draws for this communicator and leaves in the rendezvous: whoever can read the store can
  /// join, and whoever can write it can lead ranks to a communicator of its own. For stores that nobody else reaches.
  public static let published = JoinSecret(kind: .published)
}

extension Communicator {
  /// Joins the ranks that meet over a store of the caller's, and returns when all of them have: for launchers and frameworks
  /// that have a store of their own, and for groups that only their members make.
  ///
  /// This needs no existing communicator. One process may join several at a time, over the same store, from several threads.
  ///
  /// Rank 0 listens on all of its host's addresses, or on that of `TUTTI_INTERFACE`, at a port that the kernel or
  /// `TUTTI_PORT_RANGE` gives, and leaves the addresses in the store; the others go there. A store is trusted with no more
  /// than that: connections prove `secret` on both sides, unless the secret itself is ``JoinSecret/published``. One that
  /// lies, loses or delays values makes the join fail.
  ///
  /// The calling thread stays on its processors: `TUTTI_CPU_AFFINITY` is for ``join(environment:options:)``.
  ///
  /// - Parameters:
  ///   - rank: This rank, in `0..<rankCount`.
  ///   - rankCount: The same on all ranks.
  ///   - rendezvous: The store, the same for all ranks.
  ///   - name: What distinguishes this communicator from every other one that ever meets over the store, also in earlier
  ///     runs and attempts whose values are still there: letters, digits and `.`, `_`, `-`, `/`, at most 58. Where a store
  ///     is one communicator's own, such as a PyTorch `PrefixStore`, it can stay as it is.
  ///   - secret: What connections prove; of the same kind on all ranks.
  ///   - options: Equal on all ranks, but for the time limits.
  ///   - environment: Variables to read other settings from; nil for the process's own.
  /// - Throws: ``TuttiError``, like ``join(environment:options:)``, at the latest when the first rank's deadline passes.
  ///   An error of the store is its ``TuttiError/cause``.
  @available(*, noasync, message: "use 'try await Communicator.join(...)'")
  public static func join(
    rank: Int, rankCount: Int, rendezvous: any Rendezvous, name: String = "main", secret: JoinSecret = .environment,
    options: CommunicatorOptions = CommunicatorOptions(), environment: [String: String]? = nil
  ) throws(TuttiError) -> Communicator {
    do throws(FailureReport) {
      guard let key = MeetingPlace.key(name) else {
        throw FailureReport(
          .invalidArgument, rank: rank, "\"\(name)\" cannot be the name of a communicator at a rendezvous",
          advice: "Use 1 to 58 letters, digits, dots, underscores, hyphens and slashes")
      }
      return try join(rank, rankCount, .store(rendezvous, key: key), secret, options, environment)
    } catch { throw TuttiError(error) }
  }

  /// Joins the ranks that meet over a store of the caller's: suspends until all of them have, while a thread of the
  /// library's own waits.
  ///
  /// Cancelling the task changes nothing: the join ends when all ranks are there, or at its limit.
  ///
  /// - Parameters:
  ///   - rank: This rank, in `0..<rankCount`.
  ///   - rankCount: The same on all ranks.
  ///   - rendezvous: The store, the same for all ranks.
  ///   - name: What distinguishes this communicator from every other one that ever meets over the store.
  ///   - secret: What connections prove; of the same kind on all ranks.
  ///   - options: Equal on all ranks, but for the time limits.
  ///   - environment: Variables to read other settings from; nil for the process's own.
  /// - Throws: ``TuttiError``, like the blocking form, or `.resources` when no thread can be started.
  public static func join(
    rank: Int, rankCount: Int, rendezvous: any Rendezvous, name: String = "main", secret: JoinSecret = .environment,
    options: CommunicatorOptions = CommunicatorOptions(), environment: [String: String]? = nil
  ) async throws(TuttiError) -> Communicator {
    try await onOwnThread { () throws(TuttiError) in
      try join(
        rank: rank, rankCount: rankCount, rendezvous: rendezvous, name: name, secret: secret, options: options,
        environment: environment)
    }
  }

  /// Joins the ranks that meet at an address that all of them know, and returns when all of them have.
  ///
  /// - Parameters:
  ///   - rank: This rank, in `0..<rankCount`.
  ///   - rankCount: The same on all ranks.
  ///   - address: `host:port`, `[IPv6]:port`, or `unix:@name` for ranks of one host: where rank 0 listens.
  ///   - listener: On rank 0, a stream socket that listens there already, so that nobody can take the port in between:
  ///     bind one to port 0, ask for its port, tell the others, and join. It is the communicator's from here on, also when
  ///     this throws: closed when the ranks have met.
  ///   - secret: What connections prove; not ``JoinSecret/published``, for which there must be a store.
  ///   - options: Equal on all ranks, but for the time limits.
  ///   - environment: Variables to read other settings from; nil for the process's own.
  /// - Throws: ``TuttiError``, like ``join(environment:options:)``.
  @available(*, noasync, message: "use 'try await Communicator.join(...)'")
  public static func join(
    rank: Int, rankCount: Int, address: String, listener: Int32? = nil, secret: JoinSecret = .environment,
    options: CommunicatorOptions = CommunicatorOptions(), environment: [String: String]? = nil
  ) throws(TuttiError) -> Communicator {
    do throws(FailureReport) {
      let socket = try listener.map { descriptor throws(FailureReport) in try ListeningSocket(descriptor) }
      guard let meeting = RendezvousAddress(address) else {
        throw FailureReport(
          .invalidArgument, rank: rank, "\"\(address)\" is not an address to meet at",
          advice: "Write host:port, [IPv6]:port, or unix:@name when all ranks are on one host; the same on every rank")
      }
      if socket != nil, rank != 0 {
        throw FailureReport(
          .invalidArgument, rank: rank, "rank \(rank) was given a listening socket, but only rank 0 listens",
          advice: "Hand it to the join of rank 0")
      }
      return try join(rank, rankCount, .address(meeting, listener: socket), secret, options, environment)
    } catch { throw TuttiError(error) }
  }

  /// Joins the ranks that meet at an address: suspends until all of them have, while a thread of the library's own waits.
  ///
  /// Cancelling the task changes nothing: the join ends when all ranks are there, or at its limit.
  ///
  /// - Parameters:
  ///   - rank: This rank, in `0..<rankCount`.
  ///   - rankCount: The same on all ranks.
  ///   - address: `host:port`, `[IPv6]:port`, or `unix:@name` for ranks of one host: where rank 0 listens.
  ///   - listener: On rank 0, a stream socket that listens there already; the communicator's from here on, also when this
  ///     throws.
  ///   - secret: What connections prove; not ``JoinSecret/published``.
  ///   - options: Equal on all ranks, but for the time limits.
  ///   - environment: Variables to read other settings from; nil for the process's own.
  /// - Throws: ``TuttiError``, like the blocking form, or `.resources` when no thread can be started.
  public static func join(
    rank: Int, rankCount: Int, address: String, listener: Int32? = nil, secret: JoinSecret = .environment,
    options: CommunicatorOptions = CommunicatorOptions(), environment: [String: String]? = nil
  ) async throws(TuttiError) -> Communicator {
    try await onOwnThread { () throws(TuttiError) in
      try join(
        rank: rank, rankCount: rankCount, address: address, listener: listener, secret: secret, options: options,
        environment: environment)
    }
  }

  private static func join(
    _ rank: Int, _ rankCount: Int, _ place: MeetingPlace, _ secret: JoinSecret, _ options: CommunicatorOptions,
    _ environment: [String: String]?
  ) throws(FailureReport) -> Communicator {
    guard (1...JobSize.ranksMax).contains(rankCount), (0..<rankCount).contains(rank) else {
      throw FailureReport(
        .invalidArgument, "there is no rank \(rank) of \(rankCount)",
        advice: "Ranks count from 0, and there are 1 to \(JobSize.ranksMax) of them")
    }
    let environment = environment ?? processEnvironment()
    let known: JobSecret?
    switch (secret.kind, place) {
    case (.environment, _):
      known = try JobSecret.read(environment)
    case (.bytes(let bytes), _):
      guard !bytes.isEmpty else {
        throw FailureReport(.authentication, rank: rank, "the secret is empty", advice: "Use 32 random bytes")
      }
      known = JobSecret(bytes: bytes, origin: "the program").bound(to: try JobSecret.readJob(environment))
    case (.published, .store):
      known = nil
    case (.published, .address):
      throw FailureReport(
        .invalidArgument, rank: rank, "a secret can be published in a store only, and the ranks meet at an address",
        advice: "Give all ranks the same bytes, or set TUTTI_SECRET")
    }
    let identity = LaunchIdentity(rank: rank, rankCount: rankCount, place: place, source: "the program")
    // A communicator beside others does not move the threads of its process.
    return try join(identity, known, CPUAffinity.read([:]), environment, options)
  }
}
