import CTuttiLinux
import Glibc

/// Memory of another process, behind a descriptor that it passed (memfd_create(2)).
package enum SealedMemory {
  /// Makes sure that what a peer passed is memory of so many bytes that nobody can shrink: a look at pages that are gone
  /// would end this process.
  ///
  /// - Parameter what: What it is, for the message: `the memory that came for the departure board`.
  /// - Throws: `.transport`.
  package static func check(
    _ descriptor: Int32, bytes: UInt64, what: @autoclosure () -> String, rank: Int = -1, peer: Int = -1,
    transport: String = ""
  ) throws(FailureReport) {
    var status = stat()
    let failure = fstat(descriptor, &status) == 0 ? 0 : errno
    if failure == 0, UInt64(exactly: status.st_size) == bytes, tutti_is_sealed(descriptor) != 0 { return }
    throw FailureReport(
      .transport, rank: rank, peer: peer, "\(what()) is not sealed, or not of \(bytes) bytes",
      advice: "All ranks of a job must run the same version of Tutti", transport: transport, systemError: failure)
  }
}
