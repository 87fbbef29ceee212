import TuttiSystem
import TuttiTopology

// Which transport carries data between which ranks, from what all ranks know of each other: pure, so all decide alike. For
// joins and for splits: the ranks of a split have the transports that they had before.

/// Which transport each pair of ranks uses: the first of those on offer over which they can meet.
package struct LinkChoice: Sendable {
  package let rank: Int
  package let ranks: [RankFacts]
  /// The transports on offer, the preferred one first.
  package let transports: [any Transport]
  /// Whether the user asked for the only one by name. Then it is an error when it cannot be used.
  package let isNamed: Bool
  /// For each rank the number of its kind. Transports are asked once for each kind, because the ranks of a host are mostly
  /// of one.
  private let kinds: [Int]
  /// For each transport and kind, the numbers of its grounds, ascending.
  private let grounds: [[[Int]]]
  private let isOneHost: Bool
  /// For each transport, whether some pair of ranks uses it.
  private let used: [Bool]

  /// - Parameter transports: The transports that may be used. What each rank offers of them is in its facts.
  package init(rank: Int, ranks: [RankFacts], transports: [any Transport], isNamed: Bool) {
    self.rank = rank
    self.ranks = ranks
    self.transports = transports
    self.isNamed = isNamed
    isOneHost = ranks.allSatisfy { $0.host == ranks[0].host }
    let (kinds, examples) = Self.kinds(of: ranks)
    self.kinds = kinds
    var numbers: [TransportGround: Int] = [:]
    grounds = transports.map { transport in
      numbers.removeAll(keepingCapacity: true)
      return examples.map { rank in
        transport.grounds(of: rank, isNamed: isNamed).map { ground in
          let number = numbers[ground] ?? numbers.count
          numbers[ground] = number
          return number
        }.sorted()
      }
    }
    used = LinkSurvey(grounds, Self.count(kinds, of: examples.count)).used
  }

  /// Ranks of one kind differ in nothing that their grounds may depend on.
  private struct Kind: Hashable {
    let host: HostIdentity
    let abilities: HostAbilities
    let offers: [TransportOffer]

    init(_ rank: RankFacts) { (host, abilities, offers) = (rank.host, rank.abilities, rank.offers) }
  }

  /// The kind of each rank, by number, and the first rank of each kind.
  private static func kinds(of ranks: [RankFacts]) -> (numbers: [Int], examples: [RankFacts]) {
    var known: [Kind: Int] = [:]
    var examples: [RankFacts] = []
    var last: (kind: Kind, number: Int)?
    let numbers = ranks.map { rank in
      let kind = Kind(rank)
      // Neighbours are mostly of one kind, and often have its memory in common: then this compares addresses.
      if let last, last.kind == kind { return last.number }
      let number = known[kind] ?? examples.count
      if number == examples.count {
        known[kind] = number
        examples.append(rank)
      }
      last = (kind, number)
      return number
    }
    return (numbers, examples)
  }

  /// How many of these ranks are of each kind.
  private static func count(_ kinds: some Sequence<Int>, of kindCount: Int) -> [Int] {
    kinds.reduce(into: [Int](repeating: 0, count: kindCount)) { $0[$1] += 1 }
  }

  // MARK: Pairs

  /// The index in ``transports`` of the one that two ranks use; nil when none will do.
  private func carrier(_ one: Int, _ other: Int) -> Int? {
    transports.indices.first { LinkSurvey.meet(grounds[$0][kinds[one]], grounds[$0][kinds[other]]) }
  }

  private func index(of kind: TransportKind) -> Int? { transports.firstIndex { $0.kind == kind } }

  /// What carries data between this rank and another one; nil when nothing can.
  package func transport(to peer: Int) -> (any Transport)? { carrier(rank, peer).map { transports[$0] } }

  /// The ranks that this one has links to over a transport, ascending.
  package func peers(over kind: TransportKind) -> [Int] {
    guard let index = index(of: kind) else { return [] }
    // The same for all peers of a kind.
    var isCarrier: [Int: Bool] = [:]
    return ranks.indices.filter { peer in
      guard peer != rank else { return false }
      if let known = isCarrier[kinds[peer]] { return known }
      let carries = carrier(rank, peer) == index
      isCarrier[kinds[peer]] = carries
      return carries
    }
  }

  // MARK: Groups

  /// The ranks that this one meets on a transport's grounds, itself among them, ascending; empty where it meets nobody.
  package func group(over kind: TransportKind) -> [Int] {
    guard let index = index(of: kind) else { return [] }
    let meets = grounds[index].map { LinkSurvey.meet(grounds[index][kinds[rank]], $0) }
    let group = ranks.indices.filter { meets[kinds[$0]] }
    return group.count > 1 ? group : []
  }

  /// How many ranks meet over a transport: equal on all ranks.
  private func use(_ index: Int) -> TransportUse {
    var sizes: [Int: Int] = [:]
    for (kind, count) in Self.count(kinds, of: grounds[index].count).enumerated() {
      for ground in grounds[index][kind] { sizes[ground, default: 0] += count }
    }
    return TransportUse(rankCount: ranks.count, groupSizes: sizes.values.filter { $0 > 1 })
  }

  // MARK: All ranks

  /// Whether any two ranks use a transport: equal on all ranks.
  package func isUsed(_ kind: TransportKind) -> Bool { index(of: kind).map { used[$0] } ?? false }

  /// The slowest medium that some pair uses, which bounds the speed of the whole. Equal on all ranks.
  package var medium: Medium {
    let media = transports.indices.filter { used[$0] }.map { transports[$0].medium(isOneHost: isOneHost) }
    return media.max() ?? (isOneHost ? .loopback : .network)
  }

  /// The slowest medium that some pair inside one of these groups uses: equal on all ranks. Shared memory where no group has
  /// a pair.
  package func medium(inside groups: [some Collection<Int>]) -> Medium {
    var slowest = Medium.sharedMemory
    for group in groups where group.count > 1 {
      let survey = LinkSurvey(grounds, Self.count(group.lazy.map { kinds[$0] }, of: grounds.first?.count ?? 0))
      let isOneHost = group.allSatisfy { ranks[$0].host == ranks[group.first!].host }
      let media = transports.indices.filter { survey.used[$0] }.map { transports[$0].medium(isOneHost: isOneHost) }
      slowest = max(slowest, media.max() ?? (isOneHost ? .loopback : .network))
    }
    return slowest
  }

  /// The largest segment that every link of the communicator carries: equal on all ranks.
  ///
  /// - Parameter limit: The most that is wanted.
  package func segmentBytesMax(limit: Int) -> Int {
    transports.indices.filter { used[$0] }.map { transports[$0].segmentBytesMax(use($0)) }.reduce(limit, min)
  }

  /// The first pair of ranks that neither this transport nor one preferred to it connects: the lowest such rank and its
  /// lowest such higher peer. Nil when there is none. Equal on all ranks.
  ///
  /// - Parameter candidates: The ranks to look at, ascending; nil for all.
  package func firstPair(beyond kind: TransportKind, among candidates: [Int]? = nil) -> (Int, Int)? {
    guard let last = index(of: kind) else { return nil }
    // Ranks with equal grounds differ at most in those of other transports; most often all are equal.
    let candidates = candidates ?? Array(ranks.indices)
    let groups = Dictionary(grouping: candidates) { grounds[last][kinds[$0]] }
    var apart: [[Int]: [[Int]]] = [:]
    for rank in candidates {
      let own = grounds[last][kinds[rank]]
      let others = apart[own] ?? groups.filter { !LinkSurvey.meet(own, $0.key) }.map(\.value)
      apart[own] = others
      let peers = others.compactMap { group in group.first { $0 > rank && carrier(rank, $0).map { $0 > last } ?? true } }
      if let peer = peers.min() { return (rank, peer) }
    }
    return nil
  }
}

/// Finds out which transports some pair of ranks uses, without looking at every pair: hosts may be thousands.
///
/// Ranks that are alike for all transports but the one that tells most of them apart, usually shared memory, make a class.
/// Classes are few, so all their pairs are looked at; within a pair of classes only that transport decides, by counting.
struct LinkSurvey {
  private let grounds: [[[Int]]]
  /// The transport that tells most ranks apart.
  private let finest: Int
  private(set) var used: [Bool]

  private struct Class {
    let grounds: [[Int]]
    var rankCount = 0
    /// For the finest transport: how many ranks have each ground, and each list of grounds.
    var members: [Int: Int] = [:]
    var lists: [[Int]: Int] = [:]
  }

  /// - Parameters:
  ///   - grounds: For each transport and kind of rank.
  ///   - counts: How many ranks are of each kind. Kinds without ranks do not count.
  init(_ grounds: [[[Int]]], _ counts: [Int]) {
    self.grounds = grounds
    used = grounds.map { _ in false }
    let present = counts.indices.filter { counts[$0] > 0 }
    let distinct = grounds.map { grounds in Set(present.map { grounds[$0] }).count }
    finest = distinct.indices.max { distinct[$0] < distinct[$1] } ?? 0
    if grounds.isEmpty { return }
    var classes: [[[Int]]: Class] = [:]
    for kind in present {
      let key = grounds.indices.map { $0 == finest ? [] : grounds[$0][kind] }
      var found = classes[key] ?? Class(grounds: key)
      found.rankCount += counts[kind]
      for ground in grounds[finest][kind] { found.members[ground, default: 0] += counts[kind] }
      found.lists[grounds[finest][kind], default: 0] += counts[kind]
      classes[key] = found
    }
    let all = Array(classes.values)
    for one in all.indices {
      for other in one..<all.count where one != other || all[one].rankCount > 1 { look(all[one], all[other], one == other) }
    }
  }

  /// Whether two sorted lists have a number in common.
  static func meet(_ one: [Int], _ other: [Int]) -> Bool {
    var (left, right) = (0, 0)
    while left < one.count, right < other.count {
      if one[left] == other[right] { return true }
      if one[left] < other[right] { left += 1 } else { right += 1 }
    }
    return false
  }

  private mutating func look(_ one: Class, _ other: Class, _ isSame: Bool) {
    let coarse = grounds.indices.first { $0 != finest && Self.meet(one.grounds[$0], other.grounds[$0]) }
    if let coarse, coarse < finest {
      used[coarse] = true
      return
    }
    let someMeet =
      isSame ? one.members.values.contains { $0 > 1 } : one.members.keys.contains { other.members[$0] != nil }
    if someMeet { used[finest] = true }
    guard let coarse, !used[coarse] else { return }
    let someDoNot = one.lists.contains { list, count in
      other.lists.contains { isSame && $0.key == list ? count > 1 && list.isEmpty : !Self.meet(list, $0.key) }
    }
    if someDoNot { used[coarse] = true }
  }
}
