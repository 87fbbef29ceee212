import CTuttiPMIx
import Glibc
import TuttiSystem

/// What a join asks of a launcher's PMIx server (https://pmix.github.io/standard). Calls wait for the server, or for other
/// ranks, without a limit.
package protocol PMIxServer: Sendable {
  /// Gets ready to speak with the server, without a word to it yet.
  ///
  /// - Throws: `.configuration` when that cannot be done here.
  func open(_ environment: [String: String]) throws(FailureReport)
  /// Introduces this process. Returns the rank that it has there.
  func begin() throws(FailureReport) -> Int
  /// The number of ranks of the job.
  func rankCount() throws(FailureReport) -> Int
  /// Leaves a value for those who get it after the next fence.
  func put(_ value: String, for key: String) throws(FailureReport)
  /// Returns when every rank of the job has called it.
  func fence() throws(FailureReport)
  /// What rank 0 has left under a key; nil when it has left nothing.
  func get(_ key: String) throws(FailureReport) -> String?
  /// Says goodbye: a launcher takes the end of a process that did not for a crash.
  func finalize() throws(FailureReport)
}

/// The server of this process's launcher, by the system's libpmix, which is opened when it is first needed and stays open.
package struct PMIxLibrary: PMIxServer {
  /// Names another library than the system's.
  package static let variable = "TUTTI_PMIX_LIBRARY"
  private static let library = SystemLibrary("libpmix.so.2", variable: variable, load: tutti_pmix_load)

  package func open(_ environment: [String: String]) throws(FailureReport) {
    guard let failure = Self.library.open(environment) else { return }
    throw FailureReport(
      .configuration,
      "ranks meet over the launcher's PMIx by the library \(failure.name), which cannot be used: \(failure.reason)",
      advice: failure.isGiven
        ? "Set \(Self.variable) to the file of libpmix.so.2, or unset it for the system's"
        : "Install it on every host (Debian and Ubuntu: apt-get install libpmix2; Fedora and RHEL: dnf install pmix), or name "
          + "the file in \(Self.variable); without it, set TUTTI_RENDEZVOUS to host:port of rank 0, and TUTTI_SECRET, on "
          + "every rank")
  }

  package func begin() throws(FailureReport) -> Int {
    var rank: UInt32 = 0
    try check(tutti_pmix_init(&rank), "say who this process is")
    return Int(rank)
  }

  package func rankCount() throws(FailureReport) -> Int {
    var count: UInt32 = 0
    try check(tutti_pmix_job_size(&count), "tell the number of ranks")
    return Int(count)
  }

  package func put(_ value: String, for key: String) throws(FailureReport) {
    try check(tutti_pmix_put(key, value), "take a value")
  }

  package func fence() throws(FailureReport) { try check(tutti_pmix_fence(), "gather the ranks") }

  package func get(_ key: String) throws(FailureReport) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    let status = tutti_pmix_get(0, key, &text)
    if tutti_pmix_is_absence(status) != 0 { return nil }
    try check(status, "tell a value")
    defer { free(text) }
    return text.map { String(cString: $0) }
  }

  package func finalize() throws(FailureReport) { try check(tutti_pmix_finalize(), "take leave") }

  private func check(_ status: Int32, _ what: String) throws(FailureReport) {
    guard status != 0 else { return }
    throw FailureReport(
      .rendezvous, "the launcher's PMIx server could not \(what): \(String(cString: tutti_pmix_error(status))) (\(status))",
      advice: "Look at the launcher's own output, or set TUTTI_RENDEZVOUS and TUTTI_SECRET to do without PMIx")
  }
}
