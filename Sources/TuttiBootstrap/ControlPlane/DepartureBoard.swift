import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// What a rank has put on the departure board.
enum DepartureMark: UInt8 {
  case present = 0
  /// Its own first cause, or one it passed on, is on its way over the tree. It may have left since.
  case failed = 1
  case left = 2
}

/// Where each rank of a host says how it leaves, for the others to read.
protocol DepartureMarks: AnyObject, Sendable {
  /// `left` is final; `failed` never replaces it.
  func mark(_ rank: Int, _ mark: DepartureMark)

  subscript(rank: Int) -> DepartureMark { get }
}

/// A byte for each rank, shared by the ranks of one host that can share memory, where a rank says that it leaves. When its
/// process then ends, the others know that it was no death, without a message that could arrive too late: goodbyes travel
/// over the tree, and news of a process's end does not.
///
/// Owns the mapping and the memfd behind it; both live until deinit. All accesses are atomic.
final class DepartureBoard: DepartureMarks, @unchecked Sendable {
  // @unchecked: the pointer is immutable and the bytes behind it are atomics.

  private let memory: OwnedDescriptor
  private let rankCount: Int
  private let marks: UnsafeMutablePointer<Atomic<UInt8>>

  /// Makes the board of this host.
  convenience init(rankCount: Int) throws(FailureReport) {
    let memory = OwnedDescriptor(try systemCall("memfd_create") { tutti_memfd("tutti-departures", rankCount) })
    try self.init(memory, rankCount: rankCount)
  }

  /// Maps the board that `memory` holds.
  ///
  /// - Throws: `.transport` for what is no board; `.resources` when it cannot be mapped.
  init(_ memory: consuming OwnedDescriptor, rankCount: Int) throws(FailureReport) {
    let descriptor = memory.raw
    try SealedMemory.check(descriptor, bytes: UInt64(rankCount), what: "the memory that came for the departure board")
    guard let bytes = mmap(nil, rankCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), bytes != MAP_FAILED else {
      throw FailureReport(
        .resources, "mmap of the \(rankCount) bytes that the ranks of this host share failed",
        advice: "Check the memory limit (ulimit -v, cgroup memory.max)", systemError: errno)
    }
    self.memory = memory
    self.rankCount = rankCount
    marks = bytes.bindMemory(to: Atomic<UInt8>.self, capacity: rankCount)
  }

  deinit { munmap(marks, rankCount) }

  func mark(_ rank: Int, _ mark: DepartureMark) {
    if mark == .left {
      marks[rank].store(mark.rawValue, ordering: .sequentiallyConsistent)
    } else {
      _ = marks[rank].compareExchange(
        expected: DepartureMark.present.rawValue, desired: mark.rawValue, ordering: .sequentiallyConsistent)
    }
  }

  subscript(rank: Int) -> DepartureMark {
    DepartureMark(rawValue: marks[rank].load(ordering: .sequentiallyConsistent)) ?? .present
  }

  /// Sends the board to a rank of this host over `socket`.
  func send(over socket: Int32) {
    withUnsafeBytes(of: 1 as UInt8) { _ = Sockets.sendDescriptors([memory.raw], with: $0, over: socket) }
  }

  /// Receives the board from `source`, a rank that has it.
  static func receive(
    from socket: Int32, source: MemberRecord, rankCount: Int, deadline: UInt64, clock: MonotonicClock
  ) throws(FailureReport) -> DepartureBoard {
    var byte: UInt8 = 0
    var descriptors: [PassedDescriptor] = []
    if Sockets.wait(socket, for: POLLIN, until: deadline, clock: clock) {
      descriptors = withUnsafeMutableBytes(of: &byte) { Sockets.receiveDescriptors(socket, into: $0).descriptors }
    }
    guard descriptors.count == 1 else {
      throw FailureReport(
        .peerLost, peer: source.rank, "\(source.description) did not pass on the memory that the ranks of its host share",
        advice: "Look at that rank's own output: it has ended, or is stopped")
    }
    return try DepartureBoard(descriptors[0].take(), rankCount: rankCount)
  }
}
