import Patience
import TuttiSystem
import CTuttiFork
import CTuttiLinux
import Foundation
import Testing
import TuttiBootstrap
import TuttiTransport

@testable import Tutti

/// Communicators made from others: who is in them, in which order, and that nothing one of them does or suffers reaches
/// another.
@Suite(.serialized) struct SplitTests {
  /// Fails unless the communicator's ranks are exactly `names`, in order, where this rank's name is `name`: all exchange
  /// their names.
  static func expect(_ communicator: Communicator, consistsOf names: [Int], name: Int) throws {
    guard communicator.rankCount == names.count, names[communicator.rank] == name else {
      throw WrongResult(
        description: "\(name) is rank \(communicator.rank) of \(communicator.rankCount), where \(names) were expected")
    }
    var slots = [Int64](repeating: 0, count: names.count)
    slots[communicator.rank] = Int64(name) + 1
    try communicator.allReduce(&slots, .sum)
    guard slots.map({ Int($0) - 1 }) == names else {
      throw WrongResult(description: "\(name) found \(slots.map { $0 - 1 }) where \(names) were expected")
    }
  }

  /// Who is in the group of `rank`, in order: what a split should do, said in another way.
  static func members(_ colors: [Int?], _ keys: [Int], of rank: Int) -> [Int]? {
    guard let color = colors[rank] else { return nil }
    var ordered: [Int] = []
    for rank in colors.indices where colors[rank] == color {
      ordered.insert(rank, at: ordered.firstIndex { keys[$0] > keys[rank] } ?? ordered.count)
    }
    return ordered
  }

  private func code(_ body: () throws(TuttiError) -> Void) -> TuttiError? {
    do throws(TuttiError) { try body() } catch { return error }
    return nil
  }

  // MARK: Who is in which

  @Test(arguments: Fabric.allCases)
  func randomColorsAndKeys(fabric: Fabric) throws {
    let seed = testSeed("randomColorsAndKeys")
    for rankCount in 1...8 {
      let faults = fabric == .inProcess && rankCount % 2 == 0 ? InProcessFaults(seed: seed) : nil
      try withRanks(rankCount, fabric, faults: faults) { communicator in
        var generator = SeededGenerator(seed: seed &+ UInt64(rankCount))
        for round in 0..<6 {
          let palette: [Int?] = Array([nil, 0, -1, Int.max, Int.min, 7].prefix(2 + round))
          let colors = (0..<rankCount).map { _ in palette.randomElement(using: &generator)! }
          let keys = (0..<rankCount).map { _ in [Int.min, -3, 0, 0, 5, Int.max].randomElement(using: &generator)! }
          let rank = communicator.rank
          let child = try communicator.split(color: colors[rank], key: keys[rank])
          try AllReduceTests.check(communicator, nil, count: 100, salt: round)
          guard let expected = Self.members(colors, keys, of: rank) else {
            if child != nil { throw WrongResult(description: "rank \(rank) got a communicator without a color") }
            continue
          }
          guard let child else { throw WrongResult(description: "rank \(rank) got no communicator: \(colors)") }
          try Self.expect(child, consistsOf: expected, name: rank)
          try AllReduceTests.check(child, nil, count: 3000, salt: round)
          if round % 2 == 0 { child.close() }
        }
      }
    }
  }

  @Test(arguments: Fabric.allCases)
  func reversedKeysAndDuplicates(fabric: Fabric) throws {
    try withRanks(5, fabric) { communicator in
      guard let reversed = try communicator.split(color: 3, key: -communicator.rank) else {
        throw WrongResult(description: "nil")
      }
      try Self.expect(reversed, consistsOf: [4, 3, 2, 1, 0], name: communicator.rank)
      let copy = try reversed.duplicate()
      try Self.expect(copy, consistsOf: [4, 3, 2, 1, 0], name: communicator.rank)
      reversed.close()
      try Self.expect(copy, consistsOf: [4, 3, 2, 1, 0], name: communicator.rank)
      #expect(copy.lastOperation.transports == communicator.lastOperation.transports)
    }
  }

  /// Splits of splits down to single ranks, all of them used after the parents have closed.
  @Test(arguments: Fabric.allCases)
  func splitsOfSplits(fabric: Fabric) throws {
    try withRanks(8, fabric) { parent in
      var current = parent
      var members = Array(0..<8)
      var all: [(Communicator, [Int])] = []
      while current.rankCount > 1 {
        let half = current.rankCount / 2
        let isUpper = current.rank >= half
        guard let next = try current.split(color: isUpper ? 1 : 0) else { throw WrongResult(description: "no half") }
        members = Array(isUpper ? members[half...] : members[..<half])
        try Self.expect(next, consistsOf: members, name: parent.rank)
        all.append((next, members))
        if current !== parent { current.close() }
        current = next
      }
      guard let last = try current.split(color: 9), try last.split(color: nil) == nil else {
        throw WrongResult(description: "a rank alone cannot be split")
      }
      try Self.expect(last, consistsOf: [parent.rank], name: parent.rank)
      // The deepest but one is closed by now, the deepest is not.
      try Self.expect(all[2].0, consistsOf: all[2].1, name: parent.rank)
    }
  }

  @Test func optionsAreInherited() throws {
    var options = CommunicatorOptions()
    options.checksStrictly = true
    options.timeout = .seconds(7)
    let communicators = try Communicator.makeInProcess(rankCount: 3, options: options)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let child = try communicator.duplicate()
      guard child.defaultTimeout == 7_000_000_000, child.options.checksStrictly else { return child.abort("other options") }
      var values: [Float] = Array(repeating: 3, count: child.rank == 1 ? 5 : 6)
      do throws(TuttiError) { try child.allReduce(&values, .sum) } catch {
        guard error.code == .mismatch, values.allSatisfy({ $0 == 3 }) else { throw error }
        return try communicator.barrier()
      }
      communicator.abort("the child does not check")
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
  }

  // MARK: Side by side

  /// Operations in flight on a communicator, its children and a grandchild, started in the same order and waited for in any;
  /// and a thread for each at the same time.
  @Test(arguments: Fabric.allCases)
  func parentsAndChildrenAtOnce(fabric: Fabric) throws {
    let seed = testSeed("parentsAndChildrenAtOnce")
    try withRanks(4, fabric) { parent in
      guard let pair = try parent.split(color: parent.rank % 2), let other = try parent.split(color: parent.rank / 2) else {
        throw WrongResult(description: "no communicator")
      }
      let all = [parent, pair, other, try pair.duplicate()]
      var generator = SeededGenerator(seed: seed &+ UInt64(parent.rank))
      for round in 0..<20 {
        var started = try all.map { try AsynchronousTests.Started($0, nil, count: 500 * round, salt: round) }
        started.shuffle(using: &generator)
        for one in started { try one.finish() }
      }
      let failures = Failures()
      try onThreads(all.count) { index in
        failures.record {
          for round in 0..<40 { try AllReduceTests.check(all[index], nil, count: 100 * round, salt: index) }
        }
      }
      try failures.throwFirst()
    }
  }

  /// Operations started before a split and waited for after it.
  @Test(arguments: Fabric.allCases)
  func splitsAmongOperationsInFlight(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      let before = try (0..<6).map { try AsynchronousTests.Started(communicator, nil, count: 20_000, salt: $0) }
      let child = try communicator.duplicate()
      let after = try (0..<3).map { try AsynchronousTests.Started(communicator, nil, count: 2000, salt: $0) }
      try AllReduceTests.check(child, nil, count: 1000)
      for one in before + after { try one.finish() }
    }
  }

  /// Two threads of a rank that split the same communicator take turns.
  @Test(arguments: Fabric.allCases)
  func threadsTakeTurns(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      let failures = Failures()
      let children = Lock<[Communicator]>([])
      try onThreads(2) { _ in
        failures.record {
          for _ in 0..<5 {
            let child = try communicator.duplicate()
            children.withLock { $0.append(child) }
          }
        }
      }
      try failures.throwFirst()
      #expect(children.withLock { $0.count } == 10)
    }
  }

  // MARK: Fates

  @Test(arguments: Fabric.allCases)
  func childrenOutliveTheirParent(fabric: Fabric) throws {
    let communicators = try makeCommunicators(4, fabric)
    let children = Lock<[Int: Communicator]>([:])
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let child = try communicator.split(color: communicator.rank % 2)
      children.withLock { $0[communicator.rank] = child }
      // Some close while others still split.
      if communicator.rank > 1 { communicator.close() }
    }
    for ending in ended { #expect(ending.error == nil) }
    communicators[0].abort("on purpose")
    communicators[1].close()
    let pairs = children.withLock { $0 }
    let failures = Failures()
    try onThreads(4) { rank in
      failures.record { for count in [1, 1000, 50_000] { try AllReduceTests.check(pairs[rank]!, nil, count: count) } }
    }
    try failures.throwFirst()
    pairs.values.forEach { $0.close() }
  }

  /// A child that fails harms neither its parent nor its siblings, and speaks of its own ranks.
  @Test(arguments: Fabric.allCases)
  func abortsStayInTheirCommunicator(fabric: Fabric) throws {
    try withRanks(4, fabric) { parent in
      guard let pair = try parent.split(color: parent.rank / 2),
        let sibling = try parent.split(color: parent.rank / 2)
      else {
        throw WrongResult(description: "no communicator")
      }
      // The parent's rank 3 is rank 1 of its pair.
      if parent.rank == 3 { pair.abort("on purpose") }
      let error = self.code { () throws(TuttiError) in for _ in 0..<(parent.rank < 2 ? 1 : 1000) { try pair.barrier() } }
      if parent.rank < 2 { #expect(error == nil) } else { #expect(error?.code == .aborted && error?.peer == 1) }
      try AllReduceTests.check(sibling, nil, count: 1000)
      try AllReduceTests.check(parent, nil, count: 1000)
      if error == nil { return try AllReduceTests.check(pair, nil, count: 1000) }
      #expect(self.code { () throws(TuttiError) in _ = try pair.duplicate() }?.code == .aborted)
    }
  }

  /// A rank of a child that closes early is missed in the child alone.
  @Test(arguments: Fabric.allCases)
  func closedRanksAreMissedInTheirCommunicator(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      let child = try communicator.duplicate()
      try child.barrier()
      if communicator.rank == 2 { child.close() }
      try communicator.barrier()
      if communicator.rank < 2 {
        let error = self.code { () throws(TuttiError) in try child.allReduceOnes(timeout: .seconds(20)) }
        #expect(error?.code == .peerLost && error?.peer == 2, "\(error?.description ?? "no error")")
      }
      try AllReduceTests.check(communicator, nil, count: 1000)
    }
  }

  // MARK: Ranks that do something else

  @Test(arguments: Fabric.allCases)
  func aRankThatNeverSplitsIsNamed(fabric: Fabric) throws {
    let communicators = try makeCommunicators(4, fabric)
    let start = ContinuousClock.now
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank != 2 { _ = try communicator.split(color: 1, timeout: .seconds(1)) }
    }
    for (rank, ending) in ended.enumerated() where rank != 2 {
      let error = try #require(ending.error)
      #expect(error.code == .timeout && error.peer == 2, "\(error)")
      #expect(ending.time - start < .seconds(4 * slowness))
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  @Test(arguments: Fabric.allCases, [false, true])
  func aRankInAnotherCallIsNamed(fabric: Fabric, looksAlike: Bool) throws {
    let communicators = try makeCommunicators(3, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      if communicator.rank != 1 {
        _ = try communicator.split(color: 1)
      } else if looksAlike {
        var values = [Int64](repeating: 12, count: SplitAnnouncement.wordCount * 3)
        try communicator.allReduce(&values, .sum)
        // What it got is nonsense, and it hears so in its next call.
        try communicator.barrier()
      } else {
        var values: [Float] = [1]
        try communicator.allReduce(&values, .sum)
      }
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .mismatch, "\(error)")
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  /// Ports for three ranks of a communicator, but for one rank's share in a second one: those of its color throw and name
  /// it, the others and the parent go on.
  @Test func aRankWithoutPortsIsNamed() throws {
    let first = UInt16.random(in: 20_000...28_000)
    var options = CommunicatorOptions()
    options.transport = .tcp
    let rendezvous = "unix:@tutti-test-\(UUID().uuidString.prefix(12))"
    let failures = Failures()
    try onThreads(4) { [options] rank in
      failures.record {
        var variables = environment(rank, 4, rendezvous)
        // Rank 2 has just the one it joins with.
        if rank == 2 { variables["TUTTI_PORT_RANGE"] = "\(first)-\(first)" }
        let parent = try Communicator.join(environment: variables, options: options)
        let error = self.code { () throws(TuttiError) in
          guard let child = try parent.split(color: rank / 2) else { return }
          try child.allReduceOnes()
          child.close()
        }
        if rank < 2, let error { throw error }
        if rank >= 2 {
          #expect(error?.code == .resources, "\(error?.description ?? "no error")")
          #expect(rank == 2 ? error?.message.contains("TUTTI_PORT_RANGE") == true : error?.peer == 2)
          if let error { expectReadable(error) }
        }
        try AllReduceTests.check(parent, nil, count: 1000)
        parent.close()
      }
    }
    try failures.throwFirst()
  }

  @Test func aForkedChildCannotSplit() throws {
    let communicator = try makeCommunicators(1)[0]
    let box = Unmanaged.passUnretained(communicator)
    let status = withExtendedLifetime(communicator) {
      tutti_fork_call(
        { context in
          let communicator = Unmanaged<Communicator>.fromOpaque(context!).takeUnretainedValue()
          do throws(TuttiError) { _ = try communicator.split(color: 1) } catch { return error.code == .closed ? 0 : 2 }
          return 1
        }, box.toOpaque(), 5)
    }
    #expect(status == 0)
  }

  // MARK: What is left behind

  /// Entries of a folder of /proc/self.
  private func count(_ folder: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count) ?? 0
  }

  private var residentBytes: Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) : 0
  }

  /// Split, used, and closed or dropped, many times over: no descriptor, thread, mapping or memory stays.
  @Test(arguments: Fabric.allCases)
  func nothingIsLeftBehind(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    func split(_ rounds: Range<Int>) throws {
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        for round in rounds {
          let color: Int? = round % 5 == 4 && communicator.rank == 1 ? nil : round % 3 == 2 ? communicator.rank / 2 : 0
          guard let child = try communicator.split(color: color, key: round) else { continue }
          let isAborted = round % 7 == 6
          do throws(TuttiError) {
            if isAborted, child.rank == 0 { child.abort("on purpose") }
            if round % 4 == 3 {
              try child.startAllReduce(TuttiBuffer<Float>(count: 5000, repeating: 1), .sum).wait()
            } else {
              try child.allReduceOnes()
            }
          } catch { if !isAborted { throw error } }
          if round % 2 == 0 { child.close() }
        }
      }
      for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
      // Progress threads end on their own.
      Thread.sleep(forTimeInterval: 0.2)
    }
    try split(0..<60)
    let before = (count("fd"), count("task"), count("map_files"), residentBytes)
    try split(0..<(fabric == .inProcess ? 1000 : 300))
    let after = (count("fd"), count("task"), count("map_files"), residentBytes)
    #expect(after.0 <= before.0 + 3, "\(before.0) descriptors before, \(after.0) after")
    #expect(after.1 <= before.1 + 4, "\(before.1) threads before, \(after.1) after")
    #expect(after.2 <= before.2 + 40, "\(before.2) mappings before, \(after.2) after")
    // The allocator's own; a leak of one communicator's engine a round would be tens of megabytes. The address sanitizer
    // keeps what was freed, up to 256 MiB.
    #expect(
      after.3 <= before.3 + (8 << 20) * (Patience.isSanitized ? 40 : 1),
      "\(before.3 >> 10) KiB before, \(after.3 >> 10) after")
    communicators.forEach { $0.close() }
  }

  /// A rank of an in-process communicator that closes before it has taken its member of the new one: its peers hear, and
  /// nothing stays.
  @Test func untakenMembersAreClosed() throws {
    let communicators = try Communicator.makeInProcess(rankCount: 3)
    let members = communicators.compactMap { $0.member as? InProcessMember }
    let number = CommunicatorID.random()
    func group(_ rank: Int) -> SplitGroup {
      SplitGroup(
        color: 0, ranks: [0, 1, 2], rank: rank, places: Array(repeating: SplitPlace(number: number, port: 0), count: 3))
    }
    let first = try members[0].group.takeMember(of: group(0))
    weak var untaken: InProcessMember?
    untaken = first?.group.others(than: 0).first { $0.rank == 2 }
    #expect(untaken != nil)
    communicators[2].close()
    #expect(untaken == nil && first != nil)
    #expect(try members[2].group.takeMember(of: group(2)) == nil)
    #expect(try members[1].group.takeMember(of: group(1)) != nil)
    communicators.forEach { $0.close() }
  }
}

extension Communicator {
  /// Sums ones, and aborts if the result is not the number of ranks.
  fileprivate func allReduceOnes(timeout: Duration? = nil) throws(TuttiError) {
    var values: [Float] = Array(repeating: 1, count: 10)
    try allReduce(&values, .sum, timeout: timeout)
    if values.contains(where: { $0 != Float(rankCount) }) { abort("wrong sums: \(values)") }
  }
}
