import CTuttiLinux
import Glibc

/// Runs a system call, repeats it while a signal interrupts it, and throws a named failure when it fails.
///
/// - Parameters:
///   - name: The C function, for the message.
///   - body: The call; a negative result means failure, with the cause in `errno`.
/// - Returns: The call's result.
@discardableResult
package func systemCall<Value: SignedInteger>(
  _ name: StaticString, advice: @autoclosure () -> String = "", _ body: () -> Value
) throws(FailureReport) -> Value {
  while true {
    let value = body()
    if value >= 0 { return value }
    let code = errno
    if code == EINTR { continue }
    throw FailureReport(.transport, "\(name) failed", advice: advice(), systemError: code)
  }
}

/// The C library's words for an `errno` value.
package func errorText(_ code: Int32) -> String {
  String(cString: strerror(code))
}

/// Monotonic time in nanoseconds (`CLOCK_MONOTONIC`).
@inline(__always)
package func monotonicNanoseconds() -> UInt64 { tutti_now_ns() }
