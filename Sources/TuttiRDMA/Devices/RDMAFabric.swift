import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// The opened RDMA devices of a communicator and those split from it, with their protection domains and registered memory.
  ///
  /// A device is opened for this fabric alone (librdmacm has a context of its own), so that nobody else takes its events.
  /// Links keep the fabric alive; the devices are closed with the last reference.
  package final class RDMAFabric: MemoryRegistrar, @unchecked Sendable {
    // @unchecked: devices are set in `init`; the rest is locks and atomics.

    /// The rails, at least one.
    package let rails: [Rail]
    package let settings: RDMASettings
    let rank: Int
    let verbs: VerbsLibrary

    /// One port for each rail, in the order of the rails; rails of one device share a context.
    let ports: [RDMAPort]
    private let devices: [RDMADevice]
    /// Whether some device or port has had news that concern links.
    let hasTrouble = Atomic<Bool>(false)
    private let doorbells = Lock<[ObjectIdentifier: Doorbell]>([:])
    /// Regions of registered memory, one for each rail; rails of a device share theirs.
    private let keys = Lock(AddressTable<[VerbsLibrary.Region]>())
    private let generation = tutti_current_fork_generation()

    /// Opens the devices of these rails.
    ///
    /// - Throws: `.configuration`, `.resources`, `.transport`: the libraries, a device or its protection domain cannot be
    ///   had.
    package init(rails: [Rail], settings: RDMASettings, rank: Int) throws(FailureReport) {
      precondition(!rails.isEmpty && rails.count <= Rail.countMax, "a fabric has 1 to \(Rail.countMax) rails")
      self.rails = rails
      self.settings = settings
      self.rank = rank
      verbs = try VerbsLibrary.load()
      var devices: [RDMADevice] = []
      for name in Set(rails.map(\.device)).sorted() { devices.append(try RDMADevice(name, verbs, rank: rank)) }
      self.devices = devices
      var ports: [RDMAPort] = []
      for rail in rails {
        let device = devices.first { $0.name == rail.device }.unsafelyUnwrapped
        ports.append(try RDMAPort(rail: rail, device: device, settings: settings, rank: rank))
      }
      self.ports = ports
    }

    // MARK: Events

    /// Descriptors that become readable when a device or port has news. Whoever watches them then calls
    /// ``serviceEvents(of:)``. The devices' contexts own them.
    package var eventDescriptors: [Int32] { devices.map { $0.context.pointee.async_fd } }

    /// Handles what a device reports, such as a port that went down or its own removal. Never blocks. Any thread.
    ///
    /// - Parameter descriptor: One of ``eventDescriptors``.
    /// - Returns: Whether the device may have more to report; if not, stop watching its descriptor.
    @discardableResult
    package func serviceEvents(of descriptor: Int32) -> Bool {
      guard generation == tutti_current_fork_generation(),
        let device = devices.first(where: { $0.context.pointee.async_fd == descriptor })
      else { return false }
      if device.takeEvents(ports: ports) {
        hasTrouble.store(true, ordering: .releasing)
        doorbells.withLock { for doorbell in $0.values { doorbell.ring() } }
      }
      return !device.isGone.load(ordering: .acquiring)
    }

    func add(_ doorbell: Doorbell) { doorbells.withLock { $0[ObjectIdentifier(doorbell)] = doorbell } }
    func remove(_ doorbell: Doorbell) { _ = doorbells.withLock { $0.removeValue(forKey: ObjectIdentifier(doorbell)) } }

    // MARK: Memory

    /// Registers memory with every device.
    ///
    /// - Throws: `.resources` with the limit of locked memory.
    package func register(_ memory: UnsafeMutableRawPointer, bytes: Int) throws(FailureReport) {
      let regions = try makeRegions(memory, bytes)
      keys.withLock { $0.insert(UInt(bitPattern: memory), bytes: bytes, regions) }
    }

    package func unregister(_ memory: UnsafeMutableRawPointer) {
      for region in Set(keys.withLock({ $0.remove(UInt(bitPattern: memory)) }) ?? []) { _ = verbs.deregisterMemory(region) }
    }

    /// Makes a memory region for each rail, in their order; the rails of one device share it.
    func makeRegions(_ memory: UnsafeMutableRawPointer, _ bytes: Int) throws(FailureReport) -> [VerbsLibrary.Region] {
      var byDevice: [ObjectIdentifier: VerbsLibrary.Region] = [:]
      for device in devices {
        do throws(FailureReport) {
          byDevice[ObjectIdentifier(device)] = try device.register(memory, bytes, rank: rank)
        } catch {
          for region in byDevice.values { _ = verbs.deregisterMemory(region) }
          throw error
        }
      }
      return ports.map { byDevice[ObjectIdentifier($0.device)].unsafelyUnwrapped }
    }

    /// The keys of registered memory for a rail; nil where not all of it is registered.
    func key(of address: UInt, bytes: Int, rail: Int) -> (local: UInt32, remote: UInt32)? {
      keys.withLock { keys in
        guard let entry = keys.find(address, bytes: bytes) else { return nil }
        let region = entry[rail]
        return (region.pointee.lkey, region.pointee.rkey)
      }
    }

    deinit {
      if generation != tutti_current_fork_generation() { return }
      for region in Set(keys.withLock({ $0.values }).joined()) { _ = verbs.deregisterMemory(region) }
    }
  }
#endif
