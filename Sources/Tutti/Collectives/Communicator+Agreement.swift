// Checks whether ranks were started with the same settings.

import TuttiSystem

extension Communicator {
  /// Checks that every rank has the same settings, such as a model's sizes and hyper-parameters. Every rank calls this.
  ///
  /// - Parameter settings: Names, each of them once, and values.
  /// - Throws: ``TuttiError``: `.mismatch`, the same on every rank, with the first setting that differs, its values, and
  ///   their ranks; the communicator goes on. Otherwise the errors of any collective.
  /// - Complexity: An all-gather of 32 bytes, where all agree.
  @available(*, noasync, message: "use 'try await communicator.checkAgreement(...)'")
  public func checkAgreement(_ settings: [(name: String, value: String)], timeout: Duration? = nil) throws(TuttiError) {
    let own = Self.encode(settings)
    let digests = try allGather(SHA256.digest(own), timeout: timeout)
    let digestBytes = SHA256.byteCount
    let isSame = (0..<rankCount).allSatisfy { digests[$0 * digestBytes..<($0 + 1) * digestBytes] == digests[..<digestBytes] }
    if isSame { return }

    let lengths = try allGather([Int64(own.count)], timeout: timeout).map { Int($0) }
    let bytes = try allGather(own, blocks: .each(lengths), timeout: timeout)
    var all: [[(name: String, value: String)]] = []
    var start = 0
    for length in lengths {
      all.append(Self.decode(bytes[start..<start + length]))
      start += length
    }
    throw TuttiError(disagreement(all))
  }

  /// Checks that every rank has the same settings: suspends until all have said theirs, while a thread of the library's
  /// own waits.
  ///
  /// It takes its place in the order of calls at some moment before it returns: make no other call on this communicator
  /// meanwhile. Cancelling the task changes nothing.
  ///
  /// - Parameter settings: Names, each of them once, and values.
  /// - Throws: ``TuttiError``, like the blocking form, or `.resources` when no thread can be started.
  public func checkAgreement(
    _ settings: [(name: String, value: String)], timeout: Duration? = nil
  ) async throws(TuttiError) {
    try await onOwnThread { () throws(TuttiError) in try self.checkAgreement(settings, timeout: timeout) }
  }

  private func disagreement(_ all: [[(name: String, value: String)]]) -> FailureReport {
    let values = all.map { Dictionary($0.map { ($0.name, $0.value) }) { first, _ in first } }
    for name in all.flatMap({ $0.map(\.name) }) {
      let answers = values.map { $0[name] ?? "nothing" }
      guard let other = answers.firstIndex(where: { $0 != answers[0] }) else { continue }
      var groups: [(value: String, ranks: [Int])] = []
      for (rank, value) in answers.enumerated() {
        if let index = groups.firstIndex(where: { $0.value == value }) {
          groups[index].ranks.append(rank)
        } else {
          groups.append((value, [rank]))
        }
      }
      let words = groups.prefix(4).map { "\($0.value.prefix(200)) on \(rankListText($0.ranks))" }.joined(separator: ", ")
      return FailureReport(
        .mismatch, rank: rank, peer: other,
        "ranks disagree about \(name): \(words)\(groups.count > 4 ? ", and others" : "")",
        advice: "Start every rank with the same settings")
    }
    return FailureReport(
      .mismatch, rank: rank, "ranks have the same settings in different order", advice: "Give them in the same order")
  }

  /// Each text as its length in four bytes, and its bytes.
  private static func encode(_ settings: [(name: String, value: String)]) -> [UInt8] {
    settings.flatMap { [$0.name, $0.value] }.flatMap { text in
      withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
    }
  }

  private static func decode(_ bytes: ArraySlice<UInt8>) -> [(name: String, value: String)] {
    var texts: [String] = []
    var rest = bytes
    while rest.count >= 4 {
      let length = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      texts.append(String(decoding: rest.prefix(length), as: UTF8.self))
      rest = rest.dropFirst(length)
    }
    return stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) }
  }
}
