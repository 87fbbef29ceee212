import CTuttiFork
import Glibc
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// The handshake without sockets.
@Suite struct HandshakeTests {
  static let communicator = CommunicatorID(high: 7, low: 9)

  func policy(_ secret: JobSecret = testSecret, version: UInt16 = protocolVersion) -> ListenerPolicy {
    ListenerPolicy(
      rank: 2, expected: 4, communicator: Self.communicator, key: secret.handshakeKey(for: Self.communicator),
      judge: { $0.from < 8 && $0.rankCount == 8 ? .fine : .wrongRank }, version: version)
  }

  func hello(
    from: Int = 5, to: Int = 2, version: UInt16 = protocolVersion, communicator: CommunicatorID = Self.communicator
  ) -> HandshakeHello {
    HandshakeHello(
      version: version, role: .link, from: from, to: to, rankCount: 8, communicator: communicator, transport: testTransport,
      nonce: Handshake.freshNonce())
  }

  /// Whoever has no rank, such as a store and who asks it, is not called by a number.
  @Test(arguments: [testSecret, .unauthenticated])
  func failuresAreNamedWithoutRanks(secret: JobSecret) {
    let failures: [HandshakeDialer.Failure] =
      [.closedBeforeAnswer(0), .broken(32), .silent, .cancelled, .stranger, .version(3), .unproven, .insecure("no")]
      + HandshakeVerdict.allCases.map { .refused($0) }
    for failure in failures {
      let report = HandshakeFailureText.report(
        failure, rank: -1, peer: -1, what: "the store at here:1", secret: secret.bound(to: "a"))
      let text = report.description
      #expect(text.hasPrefix("the store at here:1") || failure == .cancelled, "\(text)")
      #expect(!text.contains("-1") && !text.contains("this rank"), "\(text)")
      let named = HandshakeFailureText.report(failure, rank: 3, peer: 2, what: "rank 2", secret: secret).description
      #expect(named.hasPrefix("rank 3: ") && !named.contains("process"), "\(named)")
    }
  }

  /// Feeds all of `bytes` as the machine asks for them; the last event.
  func feed(_ machine: inout ListenerHandshake, _ bytes: [UInt8]) -> ListenerHandshake.Event {
    var rest = bytes[...]
    var event = ListenerHandshake.Event.more
    while !rest.isEmpty {
      let part = rest.prefix(machine.bytesWanted)
      rest = rest.dropFirst(part.count)
      event = machine.receive(part)
      guard case .more = event else { break }
    }
    return event
  }

  func proofMessage(_ hello: HandshakeHello, challenge: [UInt8], secret: JobSecret = testSecret) -> [UInt8] {
    let nonce = Array(challenge[12..<44])
    return [0, 0, 0, 0]
      + Handshake.proof(
        .dialer, hello: hello.bytes, listenerNonce: nonce, key: secret.handshakeKey(for: Self.communicator))
  }

  func refusal(_ event: ListenerHandshake.Event) -> HandshakeVerdict? {
    guard case .refused(let verdict, _, _, let reply) = event else { return nil }
    #expect(reply.count == Handshake.replyHeaderByteCount)
    return verdict
  }

  @Test func acceptsWhoKnowsTheSecret() throws {
    var machine = ListenerHandshake(policy: policy())
    let hello = hello()
    guard case .reply(let challenge) = feed(&machine, hello.bytes) else { throw FailureReport.missing }
    #expect(challenge.count == Handshake.challengeByteCount)
    #expect(
      Handshake.isProof(
        Array(challenge[44...]), of: .listener, hello: hello.bytes, listenerNonce: Array(challenge[12..<44]),
        key: testSecret.handshakeKey(for: Self.communicator)))
    guard case .accepted(let said, nil, _) = feed(&machine, proofMessage(hello, challenge: challenge)) else {
      throw FailureReport.missing
    }
    #expect(said == hello)
  }

  @Test func refusesWrongSecret() throws {
    var machine = ListenerHandshake(policy: policy())
    let hello = hello()
    guard case .reply(let challenge) = feed(&machine, hello.bytes) else { throw FailureReport.missing }
    #expect(refusal(feed(&machine, proofMessage(hello, challenge: challenge, secret: otherSecret))) == .wrongSecret)
  }

  @Test func refusesReplay() throws {
    let hello = hello()
    var first = ListenerHandshake(policy: policy())
    guard case .reply(let challenge) = feed(&first, hello.bytes) else { throw FailureReport.missing }
    let recorded = proofMessage(hello, challenge: challenge)
    var second = ListenerHandshake(policy: policy())
    _ = feed(&second, hello.bytes)
    #expect(refusal(feed(&second, recorded)) == .wrongSecret)
  }

  @Test func refusesTheListenersOwnProofSentBack() throws {
    var machine = ListenerHandshake(policy: policy())
    guard case .reply(let challenge) = feed(&machine, hello().bytes) else { throw FailureReport.missing }
    #expect(refusal(feed(&machine, [0, 0, 0, 0] + challenge[44...])) == .wrongSecret)
  }

  @Test func refusesOtherVersionAfterTwelveBytes() {
    var machine = ListenerHandshake(policy: policy())
    let event = feed(&machine, Array(hello(version: protocolVersion + 1).bytes.prefix(12)))
    guard case .refused(.wrongVersion, _, protocolVersion + 1, let reply) = event else {
      Issue.record("\(event)")
      return
    }
    #expect((try? Handshake.readReplyHeader(reply))?.version == protocolVersion)
  }

  @Test func refusesWrongRanksAndCommunicators() {
    let cases: [(HandshakeHello, HandshakeVerdict)] = [
      (hello(to: 3), .wrongRank), (hello(from: 8), .wrongRank),
      (hello(communicator: CommunicatorID(high: 7, low: 8)), .unknownCommunicator),
    ]
    for (hello, expected) in cases {
      var machine = ListenerHandshake(policy: policy())
      #expect(refusal(feed(&machine, hello.bytes)) == expected)
    }
  }

  @Test func refusesStrangersAtTheFirstWrongByte() {
    for text in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{03}\u{01}", "TUTTX", "\0"] {
      var machine = ListenerHandshake(policy: policy())
      #expect(refusal(feed(&machine, Array(text.utf8))) == .malformed)
    }
  }

  @Test func anySingleChangedBitIsRefused() throws {
    let hello = hello()
    let key = testSecret.handshakeKey(for: Self.communicator)
    for bit in 0..<HandshakeHello.byteCount * 8 {
      var changed = hello.bytes
      changed[bit / 8] ^= 1 << (bit % 8)
      var machine = ListenerHandshake(policy: policy())
      switch feed(&machine, changed) {
      case .reply(let challenge):
        // A listener that took the changed hello proves itself over it, and expects a proof over it.
        let nonce = Array(challenge[12..<44])
        #expect(
          !Handshake.isProof(Array(challenge[44...]), of: .listener, hello: hello.bytes, listenerNonce: nonce, key: key))
        #expect(refusal(feed(&machine, proofMessage(hello, challenge: challenge))) == .wrongSecret)
      case let event:
        // Byte 11 is padding.
        #expect(refusal(event) != nil, "bit \(bit)")
      }
    }
  }

  @Test func survivesAnything() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<20_000 {
      var machine = ListenerHandshake(policy: policy())
      // From pure noise to a good hello with a few bytes changed.
      var bytes = Bool.random(using: &generator) ? generator.bytes(120) : hello().bytes + generator.bytes(48)
      for _ in 0..<Int.random(in: 0..<4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      var rest = bytes[...]
      loop: while !rest.isEmpty {
        let count = min(Int.random(in: 1...machine.bytesWanted, using: &generator), rest.count)
        let event = machine.receive(rest.prefix(count))
        rest = rest.dropFirst(count)
        switch event {
        case .accepted: Issue.record("accepted noise, seed \(seed)")
        case .refused: break loop
        case .more, .reply: #expect(machine.bytesWanted > 0)
        }
      }
    }
  }
}

extension OverSockets {
  /// What keeps an acceptor from starting, and how it is told.
  @Suite struct HandshakeAcceptorTests {
    @Test func whatCannotBeWatchedIsSaidAsTheSystemSaysIt() throws {
      // A regular file cannot be watched by epoll(7), and the calls before succeed.
      let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
      try #require(file >= 0)
      errno = ENOTTY
      let report = #expect(throws: FailureReport.self) {
        try HandshakeAcceptor(
          policy: ListenerPolicy(
            rank: 3, expected: 4, communicator: .meeting, key: testSecret.handshakeKey(for: .meeting), judge: { _ in .fine }),
          listeners: [PassedDescriptor(OwnedDescriptor(file))], clock: .system)
      }
      #expect(report?.code == .resources && report?.systemError == EPERM)
      #expect(fcntl(file, F_GETFD) < 0)
    }

    /// Neither of the two descriptors that it needs can be had, or only the first. In a child, whose limit is its own.
    @Test(.enabled(if: !Patience.isSanitized, "a sanitizer's forked child may deadlock"), arguments: [0, 1] as [rlim_t])
    func tooFewDescriptorsAreSaidAsTheSystemSaysIt(left: rlim_t) {
      let attempt = StarvedAcceptor(left: left)
      let status = withExtendedLifetime(attempt) {
        tutti_fork_call(
          { Unmanaged<StarvedAcceptor>.fromOpaque($0!).takeUnretainedValue().run() },
          Unmanaged.passUnretained(attempt).toOpaque(), 10)
      }
      #expect(status == EMFILE, "the child's step went wrong (100 and more), the errno of its report, or it hung (-1)")
    }
  }
}

/// A forked child that makes an acceptor with too few descriptors.
private final class StarvedAcceptor: Sendable {
  let left: rlim_t
  // Made before the fork: the child may hold locks of threads that it does not have.
  let policy = ListenerPolicy(
    rank: 3, expected: 4, communicator: .meeting, key: testSecret.handshakeKey(for: .meeting), judge: { _ in .fine })

  /// - Parameter left: How many descriptors the child may still open.
  init(left: rlim_t) { self.left = left }

  /// The report's errno.
  func run() -> Int32 {
    let next = open("/dev/null", O_RDONLY | O_CLOEXEC)
    guard next >= 0, close(next) == 0 else { return 100 }
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return 101 }
    limit.rlim_cur = rlim_t(next) + left
    guard setrlimit(resource, &limit) == 0 else { return 102 }
    // What a report that looks too early would say.
    errno = ENOTTY
    do throws(FailureReport) {
      _ = try HandshakeAcceptor(policy: policy, listeners: [], clock: .system)
      return 103
    } catch { return error.code == .resources ? error.systemError : 104 }
  }
}
