import TuttiAlgorithms
import TuttiSchedule
import TuttiTransport

/// Which algorithm `auto` stands for, and in which segments data travels: pure functions of what all ranks know, so that all
/// choose alike.
///
/// The choice is the algorithm whose ``AlgorithmCost`` is least in the terms of the medium, the table ``TransportTerms``.
struct AlgorithmPolicy {
  /// All ranks, in the groups that algorithms are told of.
  let grouping: Grouping
  let medium: TransportMedium
  /// How many ranks can run at the same time on the host with room for the fewest: from what all ranks know of each other.
  let processors: Int
  /// The largest segment every link of the communicator carries.
  let segmentBytesMax: Int
  let catalog: AlgorithmCatalog

  /// No segment is longer, whatever links carry.
  static let segmentBytesMax = 256 << 10

  private var rankCount: Int { grouping.rankCount }

  /// Two predictions as near as this are equal, and ``balance(_:bytes:)`` decides.
  private static let tolerance = 1.03
  /// The all-reduces in which every rank folds everything: beyond so many bytes that is more than the messages they save.
  private static let foldsAll: Set = ["one-shot", "recursive-doubling"]
  private static let foldsAllBytesMax: UInt64 = 512 << 10

  /// The name of the algorithm for a call of this size.
  ///
  /// - Parameter bytes: Of the message, or of all blocks together.
  func algorithm(_ collective: Collective, bytes: UInt64, hasUnequalBlocks: Bool) -> String {
    // Each rank has to run as rarely as can be, which no term of the table says.
    if collective == .barrier, medium == .sharedMemory, rankCount > processors { return "direct" }
    let terms = TransportTerms.terms(of: medium)
    let parallel = medium == .network || medium == .rdma ? 1 : max(1, min(rankCount, processors))
    var candidates: [(name: String, cost: AlgorithmCost, time: Double)] = []
    for algorithm in AlgorithmRegistry.algorithms(for: collective) {
      guard algorithm.isDefined(for: grouping), let cost = algorithm.cost(for: grouping) else { continue }
      if hasUnequalBlocks, algorithm.schedule(for: grouping.position(of: 0)).equalBlocks { continue }
      if collective == .allReduce, bytes > Self.foldsAllBytesMax, Self.foldsAll.contains(algorithm.name) { continue }
      let time = cost.levels.reduce(0) { sum, level in
        sum + terms.microseconds(level, bytes: Double(bytes), segmentBytes: Double(segmentBytesMax), parallel: parallel)
      }
      candidates.append((algorithm.name, cost, time))
    }
    let least = candidates.map(\.time).min() ?? 0
    var best: (name: String, balance: Double) = ("", .infinity)
    for (name, cost, time) in candidates where time <= least * Self.tolerance {
      // The last of equals: the direct ones, which need no rank in between.
      let balance = balance(cost, bytes: bytes)
      if balance <= best.balance { best = (name, balance) }
    }
    return best.name
  }

  /// What decides between algorithms of equal time; the least is chosen. For small messages, and where one copy serves many
  /// readers, the rounds; otherwise neither many rounds nor one rank that sends everything.
  private func balance(_ cost: AlgorithmCost, bytes: UInt64) -> Double {
    let rounds = cost.levels.reduce(0) { $0 + Double($1.rounds) }
    let volume = cost.levels.reduce(0) { $0 + $1.volume }
    return medium == .sharedMemory || bytes < 64 << 10 ? rounds : rounds * rounds + volume * volume
  }

  /// Bytes of a segment: as long as a link carries, because a segment costs system calls where it does not go through a
  /// window.
  ///
  /// Where one rank combines what the others only send, shorter ones let it begin while they copy. Over RDMA a segment is
  /// cheap, and sixteen or more of a call's let its phases overlap.
  func segmentBytes(_ collective: Collective, bytes: UInt64) -> Int {
    let isShort = bytes <= 1 << 20 && (medium == .rdma || medium == .sharedMemory && collective == .reduce)
    let isMiddling = bytes <= 4 << 20 && medium == .rdma
    return min(isShort ? 64 << 10 : isMiddling ? 128 << 10 : 256 << 10, segmentBytesMax)
  }

  /// Results larger than the caches are stored past them.
  func isStreaming(bytes: UInt64) -> Bool { bytes >= 1 << 20 }

  /// Whether segments over shared memory travel through windows also where the receiver could copy them from their source.
  ///
  /// Where one rank combines while the others only send, and where the data comes from memory, it is better brought into the
  /// cache by the sender's core while the receiver's combines what came before. And ranks that share cores have the windows
  /// in their caches.
  func prefersWindows(_ collective: Collective, bytes: UInt64) -> Bool {
    switch collective {
    case .allReduce: bytes > 8 << 20 || rankCount > processors
    case .reduceScatter: bytes > 8 << 20
    case .reduce: bytes > 128 << 10
    default: false
    }
  }
}

/// What messages and bytes cost on one kind of transport, in microseconds: the table behind the automatic choice.
///
/// On one host the ranks share processors, and what all of them do together counts; over a network only what the busiest
/// rank does. The values for one host were fitted to measurements of all algorithms at 2, 3, 4 and 8 ranks on 2 cores, 8 B
/// to 16 MiB, so that the choices are right rather than the times; those for a network are of 10 Gb/s Ethernet.
/// `Benchmarks/choice` compares the choices with what is best. Those for RDMA are of 100 Gb/s RoCE, and not measured: a byte
/// is the line rate of 12.5 GB/s; a message is two work requests and a completion at either end, at some 0.1 us each, as one
/// core sends 10 million small ones a second (Kalia, Kaminsky & Andersen, "Datacenter RPCs can be General and Fast", NSDI
/// 2019); a round is half of the 2 to 3 us that adapters of that kind take there and back, and as much again for the
/// engines.
struct TransportTerms: Sendable {
  /// A round: one message after another.
  let round: Double
  /// A message of the busiest rank, and one of all ranks'.
  let message: Double
  let anyMessage: Double
  /// A byte of the busiest rank, and one of all ranks'.
  let byte: Double
  let anyByte: Double
  /// A byte of the first segment, once for each round: how long a pipeline takes to fill.
  let firstByte: Double

  static func terms(of medium: TransportMedium) -> TransportTerms {
    switch medium {
    case .sharedMemory:
      TransportTerms(round: 2.8, message: 0.34, anyMessage: 8e-4, byte: 1e-8, anyByte: 6.6e-5, firstByte: 9.5e-5)
    case .loopback:
      TransportTerms(round: 1, message: 1.2, anyMessage: 4.5, byte: 1.1e-5, anyByte: 4.5e-4, firstByte: 2e-5)
    case .network:
      TransportTerms(round: 20, message: 3, anyMessage: 0, byte: 8e-4, anyByte: 0, firstByte: 8e-4)
    case .rdma:
      TransportTerms(round: 2, message: 0.3, anyMessage: 0, byte: 8e-5, anyByte: 0, firstByte: 8e-5)
    }
  }

  /// - Parameter parallel: How many ranks run at the same time.
  func microseconds(_ cost: AlgorithmCost.Level, bytes: Double, segmentBytes: Double, parallel: Int) -> Double {
    Double(cost.rounds) * (round + firstByte * min(bytes, segmentBytes))
      + Double(cost.messages) * message + Double(cost.totalMessages) * anyMessage / Double(parallel)
      + bytes * (cost.volume * byte + cost.totalVolume * anyByte / Double(parallel))
  }
}
