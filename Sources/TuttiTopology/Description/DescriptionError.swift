/// Where something is in a file; both count from 1, columns in characters of Unicode.
package struct TextPosition: Hashable, Sendable {
  package var line: Int
  package var column: Int

  package static let start = TextPosition(line: 1, column: 1)

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// What is wrong with a file that describes something, and where. The first thing that is: nothing of such a file is used.
package struct DescriptionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name that the caller gave it.
  package var file: String
  package var position: TextPosition
  /// `hosts[1].nics.bandwidth`; empty where it is the file as a whole.
  package var field: String
  /// What is wrong and what to do about it.
  package var problem: String

  package init(file: String = "", _ position: TextPosition, field: String = "", _ problem: String) {
    self.file = file
    self.position = position
    // Both may quote the file, and what it has must not reach a terminal as it is.
    self.field = field.printable
    self.problem = problem.printable
  }

  /// `pod.yaml:12:5: hosts.nics.bandwith: unknown key...`, as compilers write it.
  package var description: String {
    "\(file):\(position.line):\(position.column): \(field.isEmpty ? "" : field + ": ")\(problem)"
  }
}
