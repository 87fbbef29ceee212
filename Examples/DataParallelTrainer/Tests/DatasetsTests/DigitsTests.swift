import Foundation
import Testing

@testable import Datasets

@Suite struct DigitsTests {
  /// One line of the format: `ink` in every pixel.
  private static func line(_ label: Int, ink: Int = 3) -> String {
    (Array(repeating: "\(ink)", count: 64) + ["\(label)"]).joined(separator: ",") + "\n"
  }

  private func loadCommitted(_ url: URL) throws(DatasetError) -> Digits {
    try Digits.committed.load(at: url, parse: Digits.init)
  }

  @Test func committedDataIsWhole() throws {
    let digits = try Digits.load()
    #expect(digits.train.count == 1442 && digits.test.count == 355)
    #expect(digits.train.pixels.count == 1442 * 64 && digits.test.pixels.count == 355 * 64)
    let labels = digits.train.labels + digits.test.labels
    let counts = (Int32(0)..<10).map { digit in labels.count { $0 == digit } }
    #expect(counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    let pixels = digits.train.pixels + digits.test.pixels
    #expect(pixels.min() == 0 && pixels.max() == 1)
    // The file's first line.
    let firstRow: [Float] = [0, 0, 0.3125, 0.8125, 0.5625, 0.0625, 0, 0]
    #expect(digits.train.labels[0] == 0 && Array(digits.train.pixels[..<8]) == firstRow)
  }

  @Test func splitIsStratified() throws {
    let digits = try Digits.load()
    for digit in Int32(0)..<10 {
      let train = digits.train.labels.count { $0 == digit }
      let test = digits.test.labels.count { $0 == digit }
      #expect(test == (train + test) / Digits.testEvery)
    }
    #expect(try Digits.load().test == digits.test)
  }

  @Test func batchesAreImagesInOrder() throws {
    let images = try Digits.load().train
    let batch = images.batch([5, 2])
    #expect(batch.labels == [images.labels[5], images.labels[2]])
    #expect(batch.pixels == Array(images.pixels[5 * 64..<6 * 64] + images.pixels[2 * 64..<3 * 64]))
    #expect(images.batch([]) == LabeledImages())
  }

  @Test func ownDataNeedsNoChecksum() throws {
    let scratch = try Scratch()
    let lines = String(repeating: DigitsTests.line(7, ink: 16), count: 5)
    try scratch.write("digits.csv", lines)
    let byFolder = try Digits.load(from: scratch.folder)
    #expect(byFolder.train.count == 4 && byFolder.test.labels == [7] && byFolder.test.pixels.allSatisfy { $0 == 1 })
    // A file by its own name; line ends as other systems write them, and none at the end.
    let other = try scratch.write("mine.csv", String(lines.replacing("\n", with: "\r\n").dropLast()))
    #expect(try Digits.load(from: other).train == byFolder.train)
  }

  @Test func missingFilesAreNamed() throws {
    let scratch = try Scratch()
    for (source, path) in [
      (scratch.folder, scratch.folder.path), (scratch.folder.appending(path: "none"), scratch.folder.path + "/none"),
    ] {
      let error = try #require(throws: DatasetError.self) { try Digits.load(from: source) }
      #expect(error.description.hasPrefix("\(path): no such file"), "\(error)")
      #expect(error.description.contains("expected: digits.csv") && error.description.contains("--data"), "\(error)")
    }
    let error = try #require(throws: DatasetError.self) { try loadCommitted(scratch.folder.appending(path: "digits.csv")) }
    #expect(error.description.contains("digits.csv: no such file") && error.description.contains("git restore"), "\(error)")
  }

  @Test func truncationIsFound() throws {
    let scratch = try Scratch()
    let bytes = try Data(contentsOf: Digits.committed.locate())
    let url = try scratch.write("digits.csv", bytes.prefix(100_000))
    let error = try #require(throws: DatasetError.self) { try loadCommitted(url) }
    guard case .damaged(let path, let expected, let found, let place) = error else { throw error }
    #expect(path == url.path && expected.hasPrefix("264712 bytes") && found.hasPrefix("100000 bytes"))
    // The line that was cut is not a line of the table any more.
    let cut = bytes.prefix(100_000).count { $0 == UInt8(ascii: "\n") } + 1
    #expect(place?.hasPrefix("line \(cut): ") == true, "\(error)")
  }

  @Test func oneWrongByteIsFound() throws {
    let scratch = try Scratch()
    var bytes = try Data(contentsOf: Digits.committed.locate())
    // Another pixel that is a pixel: only the hash can tell.
    bytes[4] = UInt8(ascii: "6")
    var error = try #require(throws: DatasetError.self) { try loadCommitted(scratch.write("digits.csv", bytes)) }
    guard case .damaged(_, let expected, let found, nil) = error else { throw error }
    #expect(expected != found && expected.contains(Digits.committed.sha256) && found.hasPrefix("264712 bytes with SHA-256 "))
    // And one that is not: its line is named.
    bytes[4] = UInt8(ascii: "x")
    error = try #require(throws: DatasetError.self) { try loadCommitted(scratch.write("digits.csv", bytes)) }
    #expect(error.description.contains("(line 1: field 3 is \"x\""), "\(error)")
  }

  @Test(
    arguments: [
      (line(10), "field 65 is \"10\"", "the digit, an integer from 0 to 9"), (line(-1), "field 65 is \"-1\"", "from 0 to 9"),
      (line(1, ink: 17), "field 1 is \"17\"", "a pixel, an integer from 0 to 16"),
      (line(1).replacing("3,1", with: "3.5,1"), "3.5", "16"),
      ("\n", "1 fields", "65 fields"), ("1,2,3\n", "3 fields", "65 fields"), ("1," + line(1), "66 fields", "65 fields"),
    ])
  func badLinesAreNamed(line: String, found: String, expected: String) throws {
    let scratch = try Scratch()
    let url = try scratch.write("digits.csv", DigitsTests.line(1) + line + DigitsTests.line(2))
    let error = try #require(throws: DatasetError.self) { try Digits.load(from: url) }
    guard case .badLine(let path, 2, let expectedText, let foundText) = error else { throw error }
    #expect(path == url.path && expectedText.contains(expected) && foundText.contains(found), "\(error)")
  }

  @Test func tooLittleIsAnError() throws {
    let scratch = try Scratch()
    for text in ["", DigitsTests.line(1), (0..<10).map { DigitsTests.line($0) }.joined()] {
      let error = try #require(throws: DatasetError.self) { try Digits.load(from: scratch.write("digits.csv", text)) }
      guard case .tooSmall = error else { throw error }
    }
  }
}
