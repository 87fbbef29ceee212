import TuttiSystem

/// The processes of this rank's host whose end the kernel announces, and what each end means by what the departure board
/// says: a departure, a death, or what follows from a failure whose cause is on its way here.
///
/// It only decides: the kernel's watch is in the objects that `open` gives, and ends when they are let go.
///
/// Invariant: the end of a process is judged once.
struct ProcessWatch {
  /// The result of asking the kernel to watch a process.
  enum Opened {
    /// Watched for as long as the object lives.
    case watched(AnyObject)
    /// It has ended already.
    case gone
    /// Watching it is not permitted. The end of its connections tells as well, unless its forked children hold them.
    case unwatchable
  }

  /// Nanoseconds that the first cause is waited for when a process ended after it had heard of a failure. Where a rank that
  /// does not answer is in the cause's way, this rank's own diagnosis must come first.
  static let grace = Clock.second

  private var watched: [ProcessIdentity: (watch: AnyObject, ranks: [Int])] = [:]
  /// Ranks whose processes ended after a failure, in the order in which they become news of their own.
  private var excused: [(due: UInt64, rank: Int)] = []

  /// Watches processes, by the ranks that they are.
  ///
  /// - Returns: Those that have ended already, to be judged now.
  mutating func watch(
    _ processes: [ProcessIdentity: [Int]], open: (ProcessIdentity) -> Opened
  ) -> [Int] {
    var gone: [Int] = []
    for (process, ranks) in processes.sorted(by: { $0.value[0] < $1.value[0] }) {
      switch open(process) {
      case .watched(let watch): watched[process] = (watch, ranks)
      case .gone: gone += ranks
      case .unwatchable: break
      }
    }
    return gone
  }

  /// The kernel says that a process has ended. Returns the ranks that it was; none when that was known.
  mutating func takeEnded(_ process: ProcessIdentity) -> [Int] { watched.removeValue(forKey: process)?.ranks ?? [] }

  /// Judges the end of a rank's process by what the rank had last put on the board.
  ///
  /// - Returns: How the rank ended; nil where that will show once ``nextDue`` has come.
  mutating func judge(_ rank: Int, _ mark: DepartureMark, now: UInt64) -> ControlEdges.End? {
    switch mark {
    case .left: return .departed
    case .present: return .broken(0)
    case .failed:
      excused.append((now + Self.grace, rank))
      return nil
    }
  }

  /// When the next excuse is over; nil when there is none.
  var nextDue: UInt64? { excused.first?.due }

  /// The ranks whose excuse is over: the cause that they had has not come.
  mutating func takeOverdue(now: UInt64) -> [Int] {
    let overdue = excused.prefix { $0.due <= now }.map(\.rank)
    excused.removeFirst(overdue.count)
    return overdue
  }

  /// Watches nothing any more.
  mutating func close() {
    watched = [:]
    excused = []
  }
}
