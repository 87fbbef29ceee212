import TuttiSystem

// What rank 0 says when the ranks do not come together.

extension RendezvousLeader {
  func elapsedText() -> String {
    let seconds = Double(clock.now() - started) / 1e9
    return "\(secondsText((seconds * 10).rounded() / 10)) s"
  }

  func garbled(_ peer: Int) -> FailureReport {
    FailureReport(
      .rendezvous, rank: 0, peer: peer, "rank \(peer) sent a message that cannot be read while joining",
      advice: "Check that all ranks run the same build of the library")
  }

  /// A rank has proven the secret, and cannot be talked to as this one talks.
  func encryptionReport(_ hello: HandshakeHello) -> FailureReport {
    FailureReport(
      .configuration, rank: 0, peer: hello.from,
      "rank \(hello.from) \(EncryptionWords.difference(peerSpeaks: hello.isEncrypting, from: "rank 0"))",
      advice: EncryptionWords.agree)
  }

  func refuseLost(_ peer: Int) throws(FailureReport) {
    let who = requests[peer].map(\.member.description) ?? "rank \(peer)"
    try refuseAll(
      FailureReport(
        .peerLost, rank: 0, peer: peer, "\(who) ended while the ranks were joining",
        advice: "Look at that rank's own output"))
  }

  func unattachedReport(_ members: [MemberRecord]) -> FailureReport {
    let silent = guests.values.filter { !$0.isAttached && requests[$0.connection.peer] != nil }.map(\.connection.peer)
      .sorted()
    return FailureReport(
      .rendezvous, rank: 0, peer: silent.count == 1 ? silent[0] : -1,
      silent.isEmpty
        ? "the control connections of rank 0 were not complete within \(elapsedText())"
        : "\(rankListText(silent)) of \(identity.rankCount) joined but did not set up control connections within "
          + elapsedText(),
      advice: silent.first.map { "Look at \(members[$0].description): stopped, or cut off from other ranks" } ?? "")
  }

  private var missing: [Int] { (1..<identity.rankCount).filter { requests[$0] == nil } }

  /// What rank 0 tells while it still waits.
  func missingNotice() -> String {
    "waiting for \(rankListText(missing)) of \(identity.rankCount) at \(identity.place), for \(elapsedText()) now"
      + strangersText()
  }

  /// Who came and was not taken for a rank, or does not say that it is one.
  private func strangersText() -> String {
    let silent = Set(guests.values.map(\.connection.peer)).intersection(missing)
    return (silent.isEmpty ? "" : "; \(rankListText(silent.sorted())) connected but said nothing")
      + (turnedAway.isEmpty ? "" : "; turned away: \(turnedAway.joined(separator: ", "))")
  }

  func missingReport() -> FailureReport {
    let missing = missing
    var message = "\(rankListText(missing)) of \(identity.rankCount) \(missing.count == 1 ? "has" : "have") not joined "
    message += "at \(identity.place) within \(elapsedText())\(strangersText())"
    return FailureReport(
      .rendezvous, rank: 0, peer: missing.count == 1 ? missing[0] : -1, message,
      advice:
        "Check that they were started with the same rendezvous and secret, look at their own output, or raise TUTTI_TIMEOUT")
  }
}
