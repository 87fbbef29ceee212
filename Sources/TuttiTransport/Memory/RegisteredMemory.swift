import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// Constants of segments that are read or written where they are.
@frozen @usableFromInline
package enum InPlace {
  /// The smallest such segment: below this, a copy through a window costs less than telling the peer.
  @inlinable package static var segmentBytesMin: Int { 16 << 10 }
  /// The value of ``RegisteredMemory/offset(of:)`` for other memory.
  @inlinable package static var nowhere: UInt64 { .max }
  /// Set in what ``RegisteredMemory/offset(of:)`` gives for the caller's own registered memory; the other bits are then the
  /// address.
  @inlinable package static var callers: UInt64 { 1 << 62 }
}

/// A device that is told of registered memory so that it can reach it.
package protocol MemoryRegistrar: AnyObject, Sendable {
  /// Makes the device reach this memory.
  ///
  /// - Throws: `.resources` where a limit forbids it.
  func register(_ memory: UnsafeMutableRawPointer, bytes: Int) throws(FailureReport)
  /// Undoes `register` for the memory that begins at this address.
  func unregister(_ memory: UnsafeMutableRawPointer)
}

/// Memory of one rank that its peers may read and write in place: an arena in a sealed memfd, which links pass on when they
/// are opened, and which devices have registered. Allocating needs no peer: the arena has its full size from the start, and
/// only what was allocated takes memory. Beside it, memory of the caller's own, which devices reach, but not the other
/// processes of the host.
///
/// Whoever allocates owns the memory until ``deallocate(_:bytes:)``. Peers touch it only for segments of running operations
/// that said so, and not after ``Link/revoke(_:lost:)``. An address in the arena is an offset in its file, the same for all
/// ranks.
package final class RegisteredMemory: @unchecked Sendable {
  // @unchecked: the mapping is set once under the lock and read through an atomic; free ranges are under the lock.

  private let file: OwnedDescriptor
  /// Bytes of the whole arena: as much as the machine has memory, or as the limits of this process allow.
  package let capacity: Int
  /// Address of the arena in this process; 0 until something is allocated.
  private let base = Atomic<UInt>(0)
  private let generation = tutti_current_fork_generation()

  /// Free ranges of the arena, by offset; no two of them touch.
  private let free: Lock<[Range<Int>]>

  private struct Registrations {
    var registrars: [any MemoryRegistrar] = []
    /// What has been allocated in the arena: address and bytes.
    var allocated: [UInt: Int] = [:]
    /// The caller's own.
    var callers = AddressTable<Void>()

    /// All registered memory: address and bytes.
    var all: [(UInt, Int)] { allocated.map { ($0.key, $0.value) } + callers.ranges.map { ($0.start, $0.bytes) } }
  }
  private let registrations = Lock(Registrations())
  /// Whether any of the caller's own memory is registered.
  private let hasCallers = Atomic<Bool>(false)

  /// - Parameter ranksOnHost: How many ranks will map it, each once for every communicator in which it meets the owner.
  /// - Throws: `.resources` or `.transport` where the limits of this process, or its sandbox, forbid it.
  package init(ranksOnHost: Int = 2) throws(FailureReport) {
    let capacity = Self.capacityWithinLimits(ranksOnHost: ranksOnHost)
    guard capacity >= Self.hugePage else {
      throw FailureReport(
        .resources, "the limits of this process leave no room for registered memory",
        advice: "Raise the limits of file size (ulimit -f) and address space (ulimit -v), or use ordinary memory")
    }
    self.capacity = capacity
    file = OwnedDescriptor(
      try systemCall("memfd_create", advice: "A seccomp filter may forbid it; use ordinary memory") {
        tutti_memfd("tutti-registered", capacity)
      })
    free = Lock([0..<capacity])
  }

  deinit {
    let address = base.load(ordering: .relaxed)
    if address != 0 { munmap(UnsafeMutableRawPointer(bitPattern: address), capacity) }
  }

  /// The memfd, close-on-exec and registered. It is open as long as this object lives.
  package var descriptor: Int32 { file.raw }

  private static let page = max(4096, sysconf(Int32(_SC_PAGESIZE)))
  private static let hugePage = 2 << 20
  /// How many communicators of one process are expected to map all arenas.
  private static let communicatorsExpected = 16
  /// The address space to plan with. The smallest processors give a process 47 bits; this leaves room for everything else.
  private static let addressSpace = 1 << 46

  private static func capacityWithinLimits(ranksOnHost: Int) -> Int {
    let physical = max(1, sysconf(Int32(_SC_PHYS_PAGES))) * page
    let mappings = communicatorsExpected * max(2, ranksOnHost)
    var capacity = min(1 << (Int.bitWidth - (physical - 1).leadingZeroBitCount), addressSpace / mappings)
    for (limit, share) in [(RLIMIT_FSIZE, 1), (RLIMIT_AS, mappings)] {
      var values = rlimit()
      if getrlimit(__rlimit_resource_t(UInt32(limit.rawValue)), &values) == 0, values.rlim_cur < rlim_t(Int.max) {
        capacity = min(capacity, Int(values.rlim_cur) / share)
      }
    }
    return capacity & ~(hugePage - 1)
  }

  // MARK: Allocating

  /// Allocates at least `bytes` bytes, all zero, aligned to a page, or to a huge page where they are that many.
  ///
  /// The pages are there when this returns, so that no access can fail for want of memory later; huge ones where the kernel
  /// gives them (madvise(2), `MADV_HUGEPAGE`).
  /// - Throws: `.resources`, which says how much is wanted and how much is available.
  package func allocate(bytes: Int) throws(FailureReport) -> UnsafeMutableRawPointer {
    let size = Self.rounded(bytes)
    let alignment = size >= Self.hugePage ? Self.hugePage : Self.page
    if size >= Self.hugePage {
      // The kernel would end the process at the first access to what a control group does not give.
      var demand = ResourceDemand()
      demand.touchedBytes = size
      try ResourceLimits.current().check(
        demand, for: "registered memory of \(bytes) bytes", rank: -1, transport: "", orElse: "allocate less")
    }
    let arena = try mapped()
    let range = free.withLock { free -> Range<Int>? in
      for (index, range) in free.enumerated() {
        let start = (range.lowerBound + alignment - 1) & ~(alignment - 1)
        guard start + size <= range.upperBound else { continue }
        let rest = [range.lowerBound..<start, start + size..<range.upperBound].filter { !$0.isEmpty }
        free.replaceSubrange(index...index, with: rest)
        return start..<start + size
      }
      return nil
    }
    guard let range else {
      throw FailureReport(
        .resources,
        "cannot allocate \(bytes) bytes of registered memory: no free piece of its \(capacity) bytes is that large",
        advice: "Allocate less, free buffers that are no longer used, or raise ulimit -f and ulimit -v")
    }
    let memory = arena + range.lowerBound
    let code = tutti_memfd_populate(descriptor, memory, range.lowerBound, size)
    if code != 0 {
      tutti_memfd_release(descriptor, range.lowerBound, range.count)
      give(back: range)
      throw FailureReport(
        .resources, "cannot allocate \(bytes) bytes of registered memory: the system does not have them",
        advice: "Check free memory and the limit of the control group (memory.max)", systemError: code)
    }
    do throws(FailureReport) {
      try registrations.withLock { state throws(FailureReport) in
        try Self.tell(state.registrars, memory, size)
        state.allocated[UInt(bitPattern: memory)] = size
      }
    } catch {
      tutti_memfd_release(descriptor, range.lowerBound, range.count)
      give(back: range)
      throw error
    }
    return memory
  }

  /// Gives back memory from ``allocate(bytes:)``, and its pages to the system. No operation may be using it.
  package func deallocate(_ memory: UnsafeMutableRawPointer, bytes: Int) {
    // In a forked child the descriptor's number may be another file's, and the pages are the parent's.
    if generation != tutti_current_fork_generation() { return }
    registrations.withLock { state in
      state.allocated[UInt(bitPattern: memory)] = nil
      for registrar in state.registrars { registrar.unregister(memory) }
    }
    let offset = Int(offset(of: memory))
    let range = offset..<offset + Self.rounded(bytes)
    // Also what peers have mapped: their pages are the same.
    tutti_memfd_release(descriptor, range.lowerBound, range.count)
    give(back: range)
  }

  private func give(back range: Range<Int>) {
    free.withLock { free in
      var merged = range
      var index = free.firstIndex { $0.lowerBound > range.lowerBound } ?? free.count
      if index < free.count, free[index].lowerBound == merged.upperBound {
        merged = merged.lowerBound..<free.remove(at: index).upperBound
      }
      if index > 0, free[index - 1].upperBound == merged.lowerBound {
        index -= 1
        merged = free.remove(at: index).lowerBound..<merged.upperBound
      }
      free.insert(merged, at: index)
    }
  }

  private static func rounded(_ bytes: Int) -> Int {
    let unit = bytes >= hugePage ? hugePage : page
    return (max(1, bytes) + unit - 1) & ~(unit - 1)
  }

  private func mapped() throws(FailureReport) -> UnsafeMutableRawPointer {
    try free.withLock { _ throws(FailureReport) in
      if let known = UnsafeMutableRawPointer(bitPattern: base.load(ordering: .relaxed)) { return known }
      let memory = try Self.map(descriptor, capacity)
      base.store(UInt(bitPattern: memory), ordering: .releasing)
      return memory
    }
  }

  /// Maps an arena, one's own or a peer's (mmap(2)), where its offsets have the alignment that huge pages need.
  package static func map(_ descriptor: Int32, _ capacity: Int) throws(FailureReport) -> UnsafeMutableRawPointer {
    let memory = tutti_map_aligned(descriptor, capacity, hugePage)
    guard let memory else {
      throw FailureReport(
        .resources, "mmap of \(capacity) bytes of address space for registered memory failed",
        advice: "Raise the limit of address space (ulimit -v), or use ordinary memory", systemError: errno)
    }
    return memory
  }

  // MARK: What devices and callers register

  /// Registers all current and future memory with `registrar`; when this throws, none of it.
  package func attach(_ registrar: any MemoryRegistrar) throws(FailureReport) {
    try registrations.withLock { state throws(FailureReport) in
      if state.registrars.contains(where: { $0 === registrar }) { return }
      var told: [UnsafeMutableRawPointer] = []
      for (address, bytes) in state.all {
        let memory = UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
        do throws(FailureReport) { try registrar.register(memory, bytes: bytes) } catch {
          // Nobody would unregister these later, because the registrar is not in the list.
          for memory in told { registrar.unregister(memory) }
          throw error
        }
        told.append(memory)
      }
      state.registrars.append(registrar)
    }
  }

  /// Lets the devices reach memory of the caller's own, until ``unregister(_:)``. Without devices nothing changes.
  ///
  /// - Throws: `.invalidArgument` for memory that was registered before, `.resources` where a limit forbids it.
  package func register(_ memory: UnsafeMutableRawPointer, bytes: Int) throws(FailureReport) {
    let address = UInt(bitPattern: memory)
    try registrations.withLock { state throws(FailureReport) in
      let overlaps = state.callers.overlaps(address, bytes: bytes)
      let base = base.load(ordering: .acquiring)
      guard !overlaps, base == 0 || address >= base + UInt(capacity) || address + UInt(bytes) <= base else {
        throw FailureReport(
          .invalidArgument, "cannot register \(bytes) bytes of memory, because a part of them is registered already",
          advice: "Register each buffer once, and unregister it before it is freed")
      }
      try Self.tell(state.registrars, memory, bytes)
      state.callers.insert(address, bytes: bytes, ())
      hasCallers.store(true, ordering: .releasing)
    }
  }

  /// Undoes ``register(_:bytes:)``. No operation may be using the memory.
  package func unregister(_ memory: UnsafeMutableRawPointer) throws(FailureReport) {
    try registrations.withLock { state throws(FailureReport) in
      guard state.callers.remove(UInt(bitPattern: memory)) != nil else {
        throw FailureReport(
          .invalidArgument, "cannot unregister memory that was not registered",
          advice: "Pass the address that was given to register")
      }
      hasCallers.store(!state.callers.isEmpty, ordering: .releasing)
      for registrar in state.registrars { registrar.unregister(memory) }
    }
  }

  /// Tells all registrars of new memory, or none.
  private static func tell(
    _ registrars: [any MemoryRegistrar], _ memory: UnsafeMutableRawPointer, _ bytes: Int
  ) throws(FailureReport) {
    for (index, registrar) in registrars.enumerated() {
      do throws(FailureReport) { try registrar.register(memory, bytes: bytes) } catch {
        for told in registrars[..<index] { told.unregister(memory) }
        throw error
      }
    }
  }

  // MARK: Addresses

  /// The offset of an address in the arena; for the caller's own registered memory, the address together with
  /// ``InPlace/callers``; ``InPlace/nowhere`` for other memory.
  package func offset(of address: UnsafeRawPointer) -> UInt64 {
    let base = base.load(ordering: .acquiring)
    let offset = UInt(bitPattern: address) &- base
    if base != 0 && offset < UInt(capacity) { return UInt64(offset) }
    return hasCallers.load(ordering: .acquiring) ? callersOffset(UInt(bitPattern: address)) : InPlace.nowhere
  }

  @inline(never)
  private func callersOffset(_ address: UInt) -> UInt64 {
    let isRegistered = registrations.withLock { $0.callers.find(address, bytes: 1) != nil }
    return isRegistered ? UInt64(address) | InPlace.callers : InPlace.nowhere
  }

  /// The address that an offset stands for.
  package func address(of offset: UInt64) -> UInt {
    if offset & InPlace.callers != 0 { return UInt(offset & ~InPlace.callers) }
    return base.load(ordering: .acquiring) + UInt(offset)
  }
}

/// A peer's arena as this rank sees it: mapped when a segment first refers to it. Owns the descriptor and the mapping.
package struct PeerMemory: ~Copyable {
  package let capacity: Int
  private let descriptor: OwnedDescriptor
  private var base: UnsafeMutableRawPointer?

  /// - Parameter descriptor: The peer's sealed memfd.
  package init(descriptor: consuming OwnedDescriptor, capacity: Int) {
    self.descriptor = descriptor
    self.capacity = capacity
  }

  deinit {
    if let base { munmap(base, capacity) }
  }

  /// The address of `bytes` bytes at an offset that the peer gave; nil where they are not in the arena. Throws `.resources`
  /// when it cannot be mapped.
  @inline(__always)
  package mutating func address(of offset: UInt64, bytes: Int) throws(FailureReport) -> UnsafeMutableRawPointer? {
    guard offset <= UInt64(capacity), bytes <= capacity - Int(offset) else { return nil }
    if let base { return base + Int(offset) }
    let mapped = try RegisteredMemory.map(descriptor.raw, capacity)
    // A core dump should hold this process's memory once.
    madvise(mapped, capacity, MADV_DONTDUMP)
    base = mapped
    return mapped + Int(offset)
  }
}
