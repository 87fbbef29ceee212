import CTuttiLinux
import Glibc
import Synchronization
import TuttiTransport

/// A byte for each rank, shared by the ranks of one host, where a rank says that it leaves. When its process then ends, the
/// others know that it was no death, without a message that could arrive too late: goodbyes travel over the tree, and news
/// of a process's end does not.
///
/// Owns the mapping and the memfd behind it; both live until deinit. All accesses are atomic.
final class DepartureBoard: @unchecked Sendable {
  // @unchecked: the pointer is immutable and the bytes behind it are atomics.

  enum Mark: UInt8 {
    case present = 0
    /// Its own first cause, or one it passed on, is on its way over the tree. It may have left since.
    case failed = 1
    case left = 2
  }

  let descriptor: Int32
  private let rankCount: Int
  private let marks: UnsafeMutablePointer<Atomic<UInt8>>
  private let generation = tutti_current_fork_generation()

  /// Makes the board of this host.
  convenience init(rankCount: Int) throws(FailureReport) {
    let memory = OwnedDescriptor(try systemCall("memfd_create") { tutti_memfd("tutti-departures", rankCount) })
    try self.init(descriptor: memory.handOver(), rankCount: rankCount)
  }

  /// Maps the board that `descriptor` holds; owns the descriptor, also when this throws.
  init(descriptor: Int32, rankCount: Int) throws(FailureReport) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= rankCount,
      let memory = mmap(nil, rankCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
    else {
      let code = errno
      tutti_close(descriptor)
      throw FailureReport(.resources, "cannot map the memory shared by the ranks of this host", systemError: code)
    }
    self.descriptor = descriptor
    self.rankCount = rankCount
    marks = memory.bindMemory(to: Atomic<UInt8>.self, capacity: rankCount)
  }

  deinit {
    munmap(marks, rankCount)
    if generation == tutti_current_fork_generation() { tutti_close(descriptor) }
  }

  /// `left` is final; `failed` never replaces it.
  func mark(_ rank: Int, _ mark: Mark) {
    if mark == .left {
      marks[rank].store(mark.rawValue, ordering: .sequentiallyConsistent)
    } else {
      _ = marks[rank].compareExchange(
        expected: Mark.present.rawValue, desired: mark.rawValue, ordering: .sequentiallyConsistent)
    }
  }

  subscript(rank: Int) -> Mark {
    Mark(rawValue: marks[rank].load(ordering: .sequentiallyConsistent)) ?? .present
  }

  /// Sends the board to a rank of this host over `socket`.
  func send(over socket: Int32) {
    var one: UInt8 = 1
    withUnsafePointer(to: descriptor) { _ = tutti_send_descriptors(socket, &one, 1, $0, 1) }
  }

  /// Receives the board from the rank that made it.
  static func receive(from socket: Int32, rankCount: Int, deadline: UInt64) throws(FailureReport) -> DepartureBoard {
    var byte: UInt8 = 0
    var descriptors: [Int32] = [-1, -1, -1, -1]
    var count: Int32 = 0
    guard Sockets.wait(socket, for: POLLIN, until: deadline),
      tutti_receive_descriptors(socket, &byte, 1, &descriptors, &count) == 1, count == 1
    else {
      for descriptor in descriptors.prefix(Int(count)) { tutti_close(descriptor) }
      throw FailureReport(.rendezvous, "the memory shared by the ranks of this host did not arrive")
    }
    return try DepartureBoard(descriptor: descriptors[0], rankCount: rankCount)
  }
}
