// What can be wrong with data: each case names the file, the place in it, what was expected there, and what to do.

/// Why data could not be loaded or used.
public enum DatasetError: Error, Equatable, CustomStringConvertible {
  /// Nothing is at `path`, or it cannot be read; `expected` says what should be there.
  case unreadable(path: String, expected: String, reason: String, advice: String)
  /// A file that comes with the example differs from what was committed. `place` is the first line that is wrong by itself.
  case damaged(path: String, expected: String, found: String, place: String?)
  /// A line of a table is not what it must be. Lines count from 1.
  case badLine(path: String, line: Int, expected: String, found: String)
  /// The text is not UTF-8 from this byte on. Offsets count from 0.
  case notUTF8(path: String, offset: Int)
  /// The file has too little data to train with.
  case tooSmall(path: String, expected: String, found: String)
  /// A text to encode has a character that the training text does not have.
  case unknownCharacter(Unicode.Scalar, offset: Int)

  public var description: String {
    switch self {
    case .unreadable(let path, let expected, let reason, let advice):
      """
      \(path): \(reason)
        expected: \(expected)
        to do: \(advice)
      """
    case .damaged(let path, let expected, let found, let place):
      """
      \(path): damaged\(place.map { " (\($0))" } ?? "")
        expected: \(expected)
        found: \(found)
        to do: delete this file, then \(CommittedFile.restoring); for data of your own, name its folder with --data
      """
    case .badLine(let path, let line, let expected, let found):
      """
      \(path), line \(line): \(found)
        expected: \(expected)
        to do: correct the line
      """
    case .notUTF8(let path, let offset):
      """
      \(path), offset \(offset): this byte begins no character
        expected: UTF-8 text
        to do: convert the file, for example with `iconv -f LATIN1 -t UTF-8`
      """
    case .tooSmall(let path, let expected, let found):
      """
      \(path): \(found)
        expected: \(expected)
        to do: give more data, or ask for smaller pieces of it
      """
    case .unknownCharacter(let character, let offset):
      """
      character \(offset + 1) of the text, \(character.debugDescription), is not in the training text's vocabulary
        expected: characters that the training text has
        to do: leave it out, or train on a text that has it
      """
    }
  }
}
