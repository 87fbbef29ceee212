import TuttiTopology

// What this process may use.

extension ProcessorAllowance {
  /// That of the calling thread.
  package static func current() -> ProcessorAllowance {
    ProcessorAllowance(inherited: .ofCallingThread(), quota: .read())
  }
}
