import TuttiSystem

/// Puts a failed handshake into words, for the dialer.
enum HandshakeFailureText {
  /// - Parameters:
  ///   - rank: The dialer's; -1 where that is no rank, or none yet.
  ///   - peer: The rank that answers; -1 where no rank is meant, as by a store.
  ///   - what: What was dialed.
  static func report(
    _ failure: HandshakeDialer.Failure, rank: Int, peer: Int, what: String, secret: JobSecret,
    version own: UInt16 = protocolVersion
  ) -> FailureReport {
    func make(_ code: FailureCode, _ message: String, _ advice: String, _ systemError: Int32 = 0) -> FailureReport {
      FailureReport(code, rank: rank, peer: peer, message, advice: advice, systemError: systemError)
    }
    let dialer = rank >= 0 ? "this rank" : "this process"
    let (other, output) =
      peer >= 0 ? ("Rank \(peer)", "rank \(peer)'s own output") : ("Its process", "the output of its process")
    var sameSecret =
      secret.isAuthenticated
      ? "Set the same TUTTI_SECRET or TUTTI_SECRET_FILE on every rank"
      : "TUTTI_ALLOW_UNAUTHENTICATED=1 holds for \(dialer), and not for the other: set the same secret on both"
    if let job = secret.job {
      sameSecret += "; \(dialer)'s job is \"\(job)\", and whoever listens there may be of another (TUTTI_JOB names jobs)"
    }
    switch failure {
    case .closedBeforeAnswer(let code), .broken(let code):
      return make(
        .peerLost, "\(what) closed the connection while it was being set up", "Look at \(output)", code)
    case .silent:
      return make(
        .rendezvous, "\(what) accepted a connection but does not answer",
        "\(other) is stopped or overloaded, or another program listens there")
    case .cancelled:
      return make(.aborted, "setting up a connection to \(what) was given up", "")
    case .stranger:
      return make(
        .rendezvous, "\(what) is another program: it does not speak this protocol",
        "Choose another port for the rendezvous, or stop that program")
    case .version(let version):
      return make(
        .version, "\(what) speaks protocol version \(version), \(dialer) version \(own)",
        "Run the same version of the library on every rank")
    case .unproven:
      return make(.authentication, "\(what) does not know this job's secret", sameSecret)
    case .refused(.wrongSecret):
      return make(.authentication, "\(what) did not accept \(dialer)'s proof of the job's secret", sameSecret)
    case .refused(.unknownCommunicator):
      return make(.peerLost, "\(what) does not have this communicator (any more)", "\(other) has left or was restarted")
    case .refused(.otherEncryption):
      return make(
        .configuration,
        "\(what) \(EncryptionWords.difference(peerSpeaks: !secret.isEncrypting, from: dialer))", EncryptionWords.agree)
    case .insecure(let why):
      return make(
        .authentication, "\(what) knows this job's secret, but TLS with it failed: \(why)",
        "Something altered the stream, or the other side gave up: look at \(output)")
    case .refused(let verdict):
      return make(
        .rendezvous, "\(what) refused the connection (\(verdict))", "Check that ranks and rendezvous are the same job's")
    }
  }
}
