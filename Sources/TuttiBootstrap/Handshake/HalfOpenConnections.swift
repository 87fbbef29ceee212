import TuttiSystem

/// The connections on a rank's listeners that have not proven themselves yet: how long each may take, and which one goes
/// where there are too many. It only decides: the acceptor has the sockets.
///
/// When it is full, whoever has said least goes first, and among those the one that has been there longest: an honest rank
/// says hello at once, so a crowd of strangers that say nothing keeps no rank out.
///
/// Invariant: at most ``countMax`` connections, each for at most ``patience``.
struct HalfOpenConnections {
  /// How many strangers may be there besides all honest ranks.
  static let strangersMax = 128
  /// How many connections have room even where this process may open few files.
  static let countMin = 16

  let countMax: Int
  /// How long a connection has to prove itself, in nanoseconds.
  let patience: UInt64

  private struct Entry {
    var progress: HandshakeProgress
    let expiry: UInt64
  }

  private var entries: [UInt64: Entry] = [:]
  /// The connections in the order of their arrival, which is that of their expiry. Those that have gone stay until they are
  /// first.
  private var arrivals = TokenQueue()
  /// The connections at each stage of progress, by its raw value, in the order in which they reached it.
  private var stages = HandshakeProgress.allCases.map { _ in TokenQueue() }

  /// - Parameters:
  ///   - expected: Connections that honest ranks may open at the same time.
  ///   - openFilesMax: How many files this process may open: the half of them is for others.
  init(expected: Int, openFilesMax: Int, patience: UInt64) {
    countMax = max(Self.countMin, min(expected + Self.strangersMax, openFilesMax / 2))
    self.patience = patience
  }

  var count: Int { entries.count }

  mutating func add(_ token: UInt64, now: UInt64) {
    precondition(count < countMax && entries[token] == nil)
    entries[token] = Entry(progress: .silent, expiry: now + patience)
    arrivals.append(token) { [entries] in entries[$0] != nil }
    join(.silent, token)
  }

  mutating func remove(_ token: UInt64) { entries[token] = nil }

  /// Notes that a dialer has said more.
  mutating func note(_ progress: HandshakeProgress, of token: UInt64) {
    guard let known = entries[token]?.progress, known != progress else { return }
    entries[token]?.progress = progress
    join(progress, token)
  }

  private mutating func join(_ stage: HandshakeProgress, _ token: UInt64) {
    stages[stage.rawValue].append(token) { [entries] in entries[$0]?.progress == stage }
  }

  func progress(of token: UInt64) -> HandshakeProgress? { entries[token]?.progress }

  /// Who has to go before another one comes; nil while there is room.
  mutating func crowdedOut() -> UInt64? {
    guard count >= countMax else { return nil }
    for stage in stages.indices {
      if let token = stages[stage].first(where: { [entries] in entries[$0]?.progress.rawValue == stage }) { return token }
    }
    return nil
  }

  /// The connections whose time is up.
  mutating func expired(now: UInt64) -> [UInt64] {
    var tokens: [UInt64] = []
    while let token = oldest, let entry = entries[token], entry.expiry <= now {
      tokens.append(token)
      entries[token] = nil
    }
    return tokens
  }

  /// When the next one's time is up; nil when there is none.
  mutating func nextExpiry() -> UInt64? { oldest.flatMap { entries[$0]?.expiry } }

  private var oldest: UInt64? {
    mutating get { arrivals.first { [entries] in entries[$0] != nil } }
  }
}

/// Numbers, first in first out. Those that are no longer wanted are forgotten when nothing that is wanted is before them.
struct TokenQueue {
  private var tokens: [UInt64] = []
  private var start = 0

  /// How many are not forgotten.
  var count: Int { tokens.count - start }

  /// Adds a number at the end.
  ///
  /// - Parameter isWanted: Whether a number that came before is still wanted.
  mutating func append(_ token: UInt64, isWanted: (UInt64) -> Bool) {
    _ = first(where: isWanted)
    tokens.append(token)
  }

  /// The first that is still wanted.
  mutating func first(where isWanted: (UInt64) -> Bool) -> UInt64? {
    while count > 0, !isWanted(tokens[start]) { start += 1 }
    if start > 64, start > count {
      tokens.removeFirst(start)
      start = 0
    }
    return count > 0 ? tokens[start] : nil
  }
}
