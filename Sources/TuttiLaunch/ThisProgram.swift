import Glibc
import TuttiSystem

/// The program that this process runs.
public enum ThisProgram {
  /// Its path by its own name, so that `ps` shows it; the kernel's link to it where that name is gone.
  public static let path: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return access(path, X_OK) == 0 ? path : "/proc/self/exe"
  }()

  /// The arguments it was started with, without its name, and one more that tells it something: in front of `--`, after
  /// which nothing is an option.
  public static func arguments(adding option: String) -> [String] {
    var arguments = Array(CommandLine.arguments.dropFirst())
    arguments.insert(option, at: arguments.firstIndex(of: "--") ?? arguments.endIndex)
    return arguments
  }

  /// Starts it anew in this process's place, with the same arguments and the environment of now. Returns only where that is
  /// not possible.
  public static func restart() { withCStrings(CommandLine.arguments) { _ = execv(path, $0) } }
}
