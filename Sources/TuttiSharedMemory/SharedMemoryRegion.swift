import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem
import TuttiTransport

/// A mapped region: this rank's own, writable, or a peer's, read-only. Owns the mapping, not the descriptor.
package final class SharedMemoryRegion: @unchecked Sendable {
  // @unchecked: the mapping is immutable as a pointer; what it holds is published through atomics.

  package let base: UnsafeMutableRawPointer
  package let geometry: SharedMemoryGeometry

  /// Maps the region behind `descriptor` (mmap(2)).
  ///
  /// - Throws: `.transport` when the descriptor is not a sealed region of the expected size, so that a peer cannot shrink it
  ///   later.
  package init(mapping descriptor: Int32, geometry: SharedMemoryGeometry, writable: Bool) throws(FailureReport) {
    try SealedMemory.check(
      descriptor, bytes: UInt64(geometry.regionBytes), what: "the shared memory region of a peer", transport: "shm")
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    guard let base = mmap(nil, geometry.regionBytes, protection, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw FailureReport(
        .resources, "mmap of \(geometry.regionBytes) bytes of shared memory failed",
        advice: "Check the memory limit (ulimit -v, cgroup memory.max)", transport: "shm", systemError: errno)
    }
    self.base = base
    self.geometry = geometry
  }

  deinit { munmap(base, geometry.regionBytes) }

  /// The owner's parked flag.
  package var parked: UnsafeMutablePointer<Atomic<UInt32>> {
    base.assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// Not 0 once the owner has closed its links. It has a line that is written once, because waiting peers look at it all the
  /// time.
  var closed: UnsafeMutablePointer<Atomic<UInt64>> { word(SharedMemoryGeometry.slotBytes) }

  /// Not 0 once the owner has failed, and takes its registered memory back.
  var revoked: UnsafeMutablePointer<Atomic<UInt64>> { word(2 * SharedMemoryGeometry.slotBytes) }

  /// A random number, by which a peer knows that it reads the owner's process.
  var probe: UnsafeMutablePointer<Atomic<UInt64>> { word(3 * SharedMemoryGeometry.slotBytes) }

  package func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}

/// A rank's own end of shared memory: its region, its doorbell, and the exchange that turns an authenticated Unix socket
/// into a link.
package final class SharedMemoryEndpoint: Sendable {
  package let region: SharedMemoryRegion
  package let doorbell: Doorbell
  package let rank: Int
  /// This rank's index among the host's ranks.
  package let localIndex: Int
  /// The memfd of ``region``.
  private let memory: OwnedDescriptor
  /// The memory of this rank that peers may read and write in place; nil where its limits forbid that.
  package let registered: RegisteredMemory?
  let settings: PathSettings

  /// Creates the region as an anonymous sealed file (memfd_create(2)), which needs no cleaning up and counts against no
  /// /dev/shm limit.
  ///
  /// - Parameter memoryNode: The NUMA node to take the region's pages from while it has any; nil for that of the thread that
  ///   touches them first.
  package init(
    rank: Int, localIndex: Int, geometry: SharedMemoryGeometry, registered: RegisteredMemory? = nil, memoryNode: Int? = nil,
    settings: PathSettings = PathSettings()
  ) throws(FailureReport) {
    let advice =
      "Shared memory needs memfd_create(2), which a seccomp filter may forbid: allow it, or choose the transport tcp"
    memory = OwnedDescriptor(
      try systemCall("memfd_create", advice: advice) { tutti_memfd("tutti", geometry.regionBytes) })
    self.rank = rank
    self.localIndex = localIndex
    self.registered = registered
    self.settings = settings
    region = try SharedMemoryRegion(mapping: memory.raw, geometry: geometry, writable: true)
    // This comes before anything touches the region. It is only a wish: where it is forbidden, as in most containers, the
    // first touch decides.
    if let memoryNode { _ = tutti_prefer_node(region.base, geometry.regionBytes, Int32(memoryNode)) }
    doorbell = try Doorbell(flag: region.parked)
    region.probe.pointee.store(.random(in: 1 ... .max), ordering: .relaxed)
  }

  /// The words that the two ends send each other beside the descriptors.
  private struct Introduction {
    static let magic: UInt64 = 0x3130_5449_5454_5554
    var magic = Self.magic
    var rank: UInt32
    var localIndex: UInt32
    var localRankCount: UInt32
    var windowBytes: UInt32
    /// The bytes of the registered memory, whose descriptor comes third; 0 when there is none.
    var registeredBytes: UInt64
    /// The address at which the sender's process holds a number, and the number: whoever can read it there can copy from its
    /// memory.
    var probeAddress: UInt64
    var probe: UInt64
  }

  /// Sends this rank's region and doorbell over an authenticated Unix socket. Never blocks on a fresh socket.
  package func introduce(over socket: Int32) throws(FailureReport) {
    var words = Introduction(
      rank: UInt32(rank), localIndex: UInt32(localIndex), localRankCount: UInt32(region.geometry.rankCount),
      windowBytes: UInt32(region.geometry.windowBytes), registeredBytes: UInt64(registered?.capacity ?? 0),
      probeAddress: UInt64(UInt(bitPattern: region.probe)), probe: region.probe.pointee.load(ordering: .relaxed))
    var descriptors = [memory.raw, doorbell.descriptor]
    if let registered { descriptors.append(registered.descriptor) }
    try systemCall("sendmsg", advice: "The system does not pass descriptors between these ranks: choose the transport tcp") {
      withUnsafeBytes(of: &words) {
        Sockets.sendDescriptors(descriptors, with: UnsafeRawBufferPointer($0), over: socket)
      }
    }
  }

  /// Receives the peer's introduction and makes the link; nil when it has not come yet on a non-blocking socket.
  ///
  /// - Parameters:
  ///   - peer: The rank the handshake authenticated; the introduction must agree.
  ///   - place: The peer's index among the host's ranks.
  package func acceptIntroduction(
    over socket: Int32, from peer: Int, place: Int
  ) throws(FailureReport) -> SharedMemoryLink? {
    var words = Introduction(
      rank: 0, localIndex: 0, localRankCount: 0, windowBytes: 0, registeredBytes: 0, probeAddress: 0,
      probe: 0)
    let size = MemoryLayout<Introduction>.size
    // The link takes all descriptors except the region's, whose mapping outlives it.
    let (received, descriptors, code) = withUnsafeMutableBytes(of: &words) { Sockets.receiveDescriptors(socket, into: $0) }
    if received < 0 && (code == EAGAIN || code == EWOULDBLOCK) { return nil }
    guard received == size, descriptors.count == (words.registeredBytes == 0 ? 2 : 3), words.magic == Introduction.magic,
      Int(words.rank) == peer,
      Int(words.localRankCount) == region.geometry.rankCount, Int(words.windowBytes) == region.geometry.windowBytes,
      Int(words.localIndex) == place, place != localIndex, tutti_is_eventfd(descriptors[1].raw) != 0
    else {
      throw FailureReport(
        received == 0 ? .peerLost : .transport, rank: rank, peer: peer,
        "rank \(peer) closed the connection or sent a malformed introduction while a shared memory link was opened",
        advice: "All ranks of a job must run the same version of Tutti", transport: "shm")
    }
    let theirs = try SharedMemoryRegion(mapping: descriptors[0].raw, geometry: region.geometry, writable: false)
    let registered = descriptors.count == 3 ? descriptors[2] : nil
    if let registered {
      try SealedMemory.check(
        registered.raw, bytes: words.registeredBytes, what: "the registered memory of rank \(peer)", rank: rank, peer: peer,
        transport: "shm")
    }
    return SharedMemoryLink(
      peer: peer, endpoint: self, peerRegion: theirs, peerIndex: place, peerDoorbell: descriptors[1].take(),
      peerMemory: registered.map { PeerMemory(descriptor: $0.take(), capacity: Int(words.registeredBytes)) },
      peerProcess: readableProcess(behind: socket, words))
  }

  /// The process at the other end, if this one can read its memory, which it cannot across namespaces or users, or where
  /// ptrace(2) is restricted.
  ///
  /// With `TUTTI_SINGLE_COPY=off`, it is not tried.
  private func readableProcess(behind socket: Int32, _ words: Introduction) -> SharedMemoryLink.PeerProcess? {
    if settings.singleCopy == .off { return nil }
    var pid: pid_t = 0
    var uid: uid_t = 0
    guard tutti_peer_credentials(socket, &pid, &uid) == 0, pid > 0 else { return nil }
    let process = SharedMemoryLink.PeerProcess(pid: pid, probeAddress: words.probeAddress, probe: words.probe)
    var number: UInt64 = 0
    return process.read(words.probeAddress, into: &number, bytes: 8) == 0 ? process : nil
  }
}
