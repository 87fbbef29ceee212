/// A library of the system that is opened when a process first needs it, and stays open.
package final class SystemLibrary: Sendable {
  /// Why a library cannot be used.
  package struct Failure {
    package let name: String
    package let reason: String
    /// Whether the environment named the file.
    package let isGiven: Bool
  }

  private let standardName: String
  private let variable: String
  private let load: @Sendable (UnsafePointer<CChar>?, UnsafeMutablePointer<CChar>?, Int) -> Int32
  private let loading = Lock(())

  /// - Parameters:
  ///   - standardName: What the system calls it.
  ///   - variable: The variable that names another file.
  ///   - load: Opens the library of a name, and does nothing once it has. Returns 0, or else leaves the reason, which ends
  ///     with a null, in a buffer of so many bytes. Calls never overlap.
  package init(
    _ standardName: String, variable: String,
    load: @escaping @Sendable (UnsafePointer<CChar>?, UnsafeMutablePointer<CChar>?, Int) -> Int32
  ) {
    (self.standardName, self.variable, self.load) = (standardName, variable, load)
  }

  /// Opens the library unless it is open already. Returns nil when it can be used.
  package func open(_ environment: [String: String]) -> Failure? {
    let given = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    let name = given ?? standardName
    return loading.withLock { _ in
      var text = [CChar](repeating: 0, count: 256)
      guard load(name, &text, text.count) != 0 else { return nil }
      return Failure(name: name, reason: String(untilNull: text), isGiven: given != nil)
    }
  }
}
