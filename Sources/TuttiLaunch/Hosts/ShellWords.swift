/// Splits a command into words as a shell does: blanks separate them, quotes and backslashes keep what they enclose. Nothing
/// is looked up or expanded.
enum ShellWords {
  /// What a shell would act on. It is refused, since nothing here does.
  private static let special = Set("|&;<>()$`*?~#\n")

  /// - Throws: `.hosts`, naming the column.
  static func split(_ command: String, source: String) throws(LaunchError) -> [String] {
    var words: [String] = []
    var word: String?
    let characters = Array(command)
    var index = 0
    func place(_ index: Int) -> HostPlace { HostPlace(source: source, column: index + 1) }
    while index < characters.count {
      let character = characters[index]
      index += 1
      switch character {
      case " ", "\t":
        if let finished = word { words.append(finished) }
        word = nil
      case "\\":
        guard index < characters.count else { throw place(index - 1).error("nothing follows the backslash") }
        word = (word ?? "") + String(characters[index])
        index += 1
      case "'", "\"":
        let start = index - 1
        var part = ""
        while index < characters.count, characters[index] != character {
          // Between double quotes, a backslash keeps these two only.
          if character == "\"", characters[index] == "\\", index + 1 < characters.count,
            "\"\\".contains(characters[index + 1])
          {
            index += 1
          }
          part.append(characters[index])
          index += 1
        }
        guard index < characters.count else { throw place(start).error("no closing \(character)") }
        index += 1
        word = (word ?? "") + part
      case _ where special.contains(character):
        throw place(index - 1).error("'\(character)' would need a shell: put it in quotes, or the command into a script")
      default:
        word = (word ?? "") + String(character)
      }
    }
    if let finished = word { words.append(finished) }
    guard !words.isEmpty else { throw LaunchError(.hosts, "\(source) is empty. Give a command, such as ssh -p 2222") }
    return words
  }

  /// The word so that a POSIX shell reads it as it is.
  static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
        || "._-/+,:@%=".utf8.contains($0)
    }
    return plain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
  }
}
