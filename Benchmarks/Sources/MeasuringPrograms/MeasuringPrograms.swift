// What the programs here have in common. `own-program` does not use it, on purpose: it stands for a user's program.

import Glibc
import TuttiLaunch

/// Why a program ends without a result.
public struct Failure: Error {
  let message: String
  let isUsage: Bool

  /// - Parameter isUsage: Whether its arguments make no sense: it then says how it is used, and ends with status 64.
  public init(_ message: String, isUsage: Bool = false) { (self.message, self.isUsage) = (message, isUsage) }
}

/// Runs a program on its arguments, and ends it: with the status that `body` returns, or with what `body` throws on standard
/// error.
public func runProgram(_ name: String, usage: String, _ body: (_ arguments: [String]) throws -> Int32) -> Never {
  do {
    exit(try body(Array(CommandLine.arguments.dropFirst())))
  } catch let failure as Failure {
    complain("\(name): \(failure.message)\n" + (failure.isUsage ? usage : ""))
    exit(failure.isUsage ? 64 : 1)
  } catch {
    complain("\(name): \(error)\n")
    exit(1)
  }
}

private func complain(_ text: String) { try? StandardStream.error.write(text) }

/// CLOCK_MONOTONIC in nanoseconds.
@inlinable
public func nanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Returns the time in seconds.
@inlinable
public func seconds() -> Double { Double(nanoseconds()) / 1e9 }
