import Glibc
import Tutti
import TuttiSystem

/// Describes the machine that a number was measured on, so that a reader can judge it. It never holds the environment, which
/// holds secrets.
struct SystemFacts {
  let host: String
  let cpu: String
  /// The number of logical processors that this process may use.
  let cores: Int
  let kernel: String
  let memoryBytes: Int

  static func current() -> SystemFacts {
    var name = utsname()
    uname(&name)
    let cpu = field("model name", in: "/proc/cpuinfo") ?? field("CPU part", in: "/proc/cpuinfo") ?? "unknown"
    return SystemFacts(
      host: text(of: &name.nodename), cpu: cpu, cores: ProcessorFacts.current().count,
      kernel: "Linux " + text(of: &name.release),
      memoryBytes: memory("MemTotal") ?? 0)
  }

  /// The bytes that programs started by this process may use together without swapping. With them comes the file that limits
  /// them, where it is not the whole machine's memory but a control group's, whose processes the kernel kills beyond it. nil
  /// where the kernel does not say.
  static func availableMemory() -> (bytes: Int, limit: String?)? {
    let machine = memory("MemAvailable")
    guard let group = MemoryGroup.current().min(by: { $0.left < $1.left }) else { return machine.map { ($0, nil) } }
    let left = Int(clamping: group.left)
    if let machine, machine <= left { return (machine, nil) }
    return (left, group.file)
  }

  private static func memory(_ key: String) -> Int? {
    guard let value = field(key, in: "/proc/meminfo"), let digits = value.split(separator: " ").first else { return nil }
    return Int(digits).map { $0 * 1024 }
  }

  /// The value of the first `key : value` line of a /proc file.
  private static func field(_ key: String, in path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0, let line {
      let parts = String(cString: line).split(separator: ":", maxSplits: 1)
      guard parts.count == 2, trimmed(parts[0]) == key else { continue }
      return trimmed(parts[1])
    }
    return nil
  }

  private static func trimmed(_ text: Substring) -> String {
    let isSpace: (Character) -> Bool = { $0.isWhitespace }
    let head = text.drop(while: isSpace)
    guard let last = head.lastIndex(where: { !isSpace($0) }) else { return "" }
    return String(head[...last])
  }

  /// A fixed C character array, up to its first zero.
  private static func text<Field>(of field: inout Field) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
