import Glibc
import TuttiSystem

/// The program that this process runs.
public enum ThisProgram {
  /// Its path under its own name, so that `ps` shows it; the kernel's link to it where that name is gone.
  public static let path: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return access(path, X_OK) == 0 ? path : "/proc/self/exe"
  }()

  /// Returns the arguments it was started with, without its name, and one more option. That goes in front of `--`, after
  /// which nothing is an option.
  public static func arguments(adding option: String) -> [String] {
    var arguments = Array(CommandLine.arguments.dropFirst())
    arguments.insert(option, at: arguments.firstIndex(of: "--") ?? arguments.endIndex)
    return arguments
  }

  /// Replaces this process by a new run of its program, with the same arguments and the current environment. Returns only
  /// where that is not possible.
  public static func restart() { withCStrings(CommandLine.arguments) { _ = execv(path, $0) } }
}
