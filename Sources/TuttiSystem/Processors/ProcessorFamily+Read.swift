import TuttiTopology

// Reads what kind of processors this machine has.

extension ProcessorFamily {
  /// The family of this machine's processors, as the kernel tells it in `/proc/cpuinfo`.
  package static func current() -> ProcessorFamily {
    // One processor's part has some 1,500 bytes; those of the others say the same.
    ProcessorFamily(cpuinfo: readSmallFile("/proc/cpuinfo", bytesMax: 16 << 10) ?? "")
  }
}
