import CTuttiLinux
import Glibc
import TuttiTopology

// The processors of the calling thread.

extension ProcessorSet {
  /// The processors that the calling thread may run on, and that the threads it starts inherit (sched_getaffinity(2)); all
  /// that are online when the kernel does not say.
  package static func ofCallingThread() -> ProcessorSet {
    var words = [UInt64](repeating: 0, count: wordsMax)
    if tutti_get_affinity(&words, Int32(wordsMax)) == 0 {
      let inherited = ProcessorSet(words: words)
      if !inherited.isEmpty { return inherited }
    }
    return ProcessorSet(0..<min(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), numbersMax))
  }

  /// Confines the calling thread, and those it starts from now on, to these processors (sched_setaffinity(2)).
  ///
  /// - Returns: 0, or the `errno` of the call.
  package func confineCallingThread() -> Int32 {
    tutti_set_affinity(words, Int32(words.count)) == 0 ? 0 : errno
  }
}
