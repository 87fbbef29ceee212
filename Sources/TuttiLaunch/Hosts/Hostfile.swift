import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTopology

/// The text of a hostfile, which may be a pipe (`<(command)`).
struct HostfileText {
  static let bytesMax = 1 << 20
  /// How long a pipe may be silent.
  private static let patience = 10 * Clock.second

  /// Each line with the place of its first character.
  let lines: [HostWord]

  /// - Throws: `.hosts` for what is no file of text, or not read to its end in time.
  init(_ path: String) throws(LaunchError) {
    func refusal(_ why: String) -> LaunchError { LaunchError(.hosts, "the hostfile \(path) \(why)") }
    // Non-blocking, because opening a FIFO would otherwise wait for its writer.
    let raw = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard raw >= 0 else { throw refusal("cannot be read: \(errorText(errno))") }
    let file = OwnedDescriptor(raw)
    var status = stat()
    guard fstat(file.raw, &status) == 0 else { throw refusal("cannot be read: \(errorText(errno))") }
    if status.st_mode & S_IFMT == S_IFDIR { throw refusal("is a folder. Name a file with a host on each line") }
    let tooLarge = "is larger than \(Self.bytesMax >> 20) MiB. It should have a line for each host"
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      guard Sockets.wait(file.raw, for: POLLIN, until: monotonicNanoseconds() + Self.patience) else {
        throw refusal("is a pipe that has said nothing for \(Self.patience / Clock.second) s")
      }
      let count = read(file.raw, &chunk, chunk.count)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        throw refusal("cannot be read: \(errorText(errno))")
      }
      bytes += chunk[..<count]
      guard bytes.count <= Self.bytesMax else { throw refusal(tooLarge) }
    }
    lines = try Self.lines(bytes, path)
  }

  private static func lines(_ bytes: [UInt8], _ path: String) throws(LaunchError) -> [HostWord] {
    var lines: [HostWord] = []
    for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      let place = HostPlace(source: path, line: index + 1, column: 1)
      if let wrong = line.firstIndex(where: { ($0 < 0x20 && $0 != 0x09 && $0 != 0x0D) || $0 == 0x7F }) {
        throw place.at(wrong - line.startIndex).error(
          "a byte 0x\(String(line[wrong], radix: 16)): this is not a file of text")
      }
      guard let text = String(validating: line, as: UTF8.self) else { throw place.error("this line is not text in UTF-8") }
      lines.append(HostWord(Substring(text), place))
    }
    return lines
  }
}

/// One line of a hostfile.
struct HostfileLine {
  private static let keys = ["slots", "max_slots", "max-slots"]

  /// The host it names, and where; nil for a line with none.
  let host: (host: LaunchHost, place: HostPlace)?

  init(_ line: HostWord) throws(LaunchError) {
    let words = Self.words(line)
    guard let first = words.first else {
      host = nil
      return
    }
    var host = try first.host()
    var seen: [String: Int] = [:]
    for word in words.dropFirst() {
      guard let sign = word.text.firstIndex(of: "=") else { throw Self.unexpected(word) }
      let key = word.text[..<sign]
      guard Self.keys.contains(String(key)) else { throw Self.unknown(word, key) }
      let value = word.text[word.text.index(after: sign)...]
      let number = try HostWord.number(value, word.place.at(key.count + 1))
      guard seen.updateValue(number, forKey: String(key.replacing("-", with: "_"))) == nil else {
        throw word.place.error("'\(key)' is given twice")
      }
      if key == "slots" {
        if first.text.last != "]", first.text.contains(":"), host.slots != number {
          throw word.place.error("slots=\(number) contradicts '\(first.text)'. Give one of the two")
        }
        host.slots = number
      }
    }
    if let most = seen["max_slots"], most < host.slots {
      throw first.place.error("\(host.slots) ranks, and max_slots=\(most) allows fewer")
    }
    self.host = (host, first.place)
  }

  /// The words of a line, up to its comment.
  private static func words(_ line: HostWord) -> [HostWord] {
    let text = line.text.prefix { $0 != "#" }
    return text.split(whereSeparator: \.isWhitespace).map {
      HostWord($0, line.place.at(line.text.distance(from: line.text.startIndex, to: $0.startIndex)))
    }
  }

  private static func unexpected(_ word: HostWord) -> LaunchError {
    let isKey = keys.contains(String(word.text))
    return word.place.error(
      isKey
        ? "'\(word.text)' without a value. Write \(word.text)=4, without spaces"
        : "'\(shown(word.text))' after the host: a line has one host, and slots=N")
  }

  private static func unknown(_ word: HostWord, _ key: Substring) -> LaunchError {
    let nearest = nearestName(to: String(key), in: keys).map { " Did you mean '\($0)'?" } ?? ""
    return word.place.error("unknown key '\(shown(key))'.\(nearest) Known: slots, max_slots")
  }
}
