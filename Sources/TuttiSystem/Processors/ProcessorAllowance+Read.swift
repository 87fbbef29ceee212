import TuttiTopology

// Reads which processors this process may use.

extension ProcessorAllowance {
  /// Reads the allowance of the calling thread.
  package static func current() -> ProcessorAllowance {
    ProcessorAllowance(inherited: .ofCallingThread(), quota: .read())
  }
}
