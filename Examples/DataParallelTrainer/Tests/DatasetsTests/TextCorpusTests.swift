import Foundation
import Testing

@testable import Datasets

@Suite struct TextCorpusTests {
  private func loadCommitted(_ url: URL) throws(DatasetError) -> TextCorpus {
    try TextCorpus.committed.load(at: url) { file throws(DatasetError) in try TextCorpus(file, context: 64) }
  }

  @Test func committedTextIsWhole() throws {
    let corpus = try TextCorpus.load(context: 64)
    #expect(corpus.vocabulary.count == 80)
    #expect(corpus.vocabulary.characters == corpus.vocabulary.characters.sorted())
    #expect(corpus.train.tokens.count == 319_074 && corpus.validation.tokens.count == 35_452)
    // Computed apart from this code, with another program.
    #expect(abs(corpus.unigramEntropy - 3.178972371499348) < 1e-12)
    #expect(corpus.vocabulary.decode(corpus.train.tokens.prefix(33)) == "PREFACE\n\nThe Devil's Dictionary w")
  }

  @Test func entropyIsThatOfKnownDistributions() {
    #expect(TextCorpus.entropy(of: [], vocabularyCount: 0) == 0)
    #expect(TextCorpus.entropy(of: [0, 0, 0], vocabularyCount: 1) == 0)
    #expect(abs(TextCorpus.entropy(of: [0, 1, 2, 3], vocabularyCount: 4) - log(4.0)) < 1e-15)
    #expect(abs(TextCorpus.entropy(of: [0, 0, 0, 1], vocabularyCount: 2) - (0.25 * log(4.0) + 0.75 * log(4.0 / 3))) < 1e-15)
  }

  @Test func vocabularyIsSortedAndGoesBothWays() throws {
    let vocabulary = Vocabulary(of: "häßlich\r\n")
    #expect(String(String.UnicodeScalarView(vocabulary.characters)) == "\n\rchilßä")
    #expect(
      try vocabulary.decode(vocabulary.encode("schlicht".replacing("s", with: "ß").replacing("t", with: ""))) == "ßchlich")
    #expect(throws: DatasetError.unknownCharacter("z", offset: 2)) { try vocabulary.encode("chz") }
    #expect(DatasetError.unknownCharacter("z", offset: 2).description.hasPrefix("character 3 of the text, \"z\""))
  }

  @Test func windowsAreTheTextAndItsContinuation() {
    let text = TokenSequence((0..<23).map(Int32.init))
    #expect(text.windowCount(context: 5) == 3)
    let (inputs, targets) = text.windows([2, 0], context: 5, shift: 3)
    #expect(inputs == [13, 14, 15, 16, 17, 3, 4, 5, 6, 7])
    #expect(targets == inputs.map { $0 + 1 })
    #expect(TokenSequence([]).windowCount(context: 1) == 0 && TokenSequence([1, 2, 3]).windowCount(context: 2) == 0)
  }

  /// For every length and context: the last window lies inside the text with every shift.
  @Test func windowsStayInside() {
    for count in 0...40 {
      let text = TokenSequence((0..<count).map(Int32.init))
      for context in 1...12 {
        let windows = text.windowCount(context: context)
        guard windows > 0 else { continue }
        for shift in 0..<context {
          let (inputs, targets) = text.windows(Array(0..<windows), context: context, shift: shift)
          #expect(inputs == (0..<windows * context).map { Int32($0 + shift) } && targets == inputs.map { $0 + 1 })
        }
      }
    }
  }

  @Test func ownTextIsAFileOrAFolderWithOne() throws {
    let scratch = try Scratch()
    let text = String(repeating: "Wenn ist das Nunstück git und Slotermeyer? ", count: 10)
    let url = try scratch.write("joke.txt", text)
    try scratch.write("notes.md", "not this one")
    for source in [url, scratch.folder] {
      let corpus = try TextCorpus.load(from: source, context: 8)
      #expect(corpus.vocabulary.decode(corpus.train.tokens + corpus.validation.tokens) == text)
    }
    try scratch.write("second.txt", text)
    let error = try #require(throws: DatasetError.self) { try TextCorpus.load(from: scratch.folder) }
    #expect(error.description.contains("more than one: joke.txt, second.txt"), "\(error)")
  }

  @Test func emptyAndShortTextsAreErrors() throws {
    let scratch = try Scratch()
    for (text, context) in [("", 1), ("abc", 1), (String(repeating: "a", count: 159), 8)] {
      let url = try scratch.write("short.txt", text)
      let error = try #require(throws: DatasetError.self) { try TextCorpus.load(from: url, context: context) }
      guard case .tooSmall(url.path, _, "\(text.count) characters") = error else { throw error }
    }
    #expect(
      try TextCorpus.load(from: scratch.write("long.txt", String(repeating: "a", count: 160)), context: 8).unigramEntropy
        == 0)
  }

  @Test func otherEncodingsAreNamedWithTheirPlace() throws {
    let scratch = try Scratch()
    let url = try scratch.write("latin.txt", Data("für ".utf8) + Data([0x66, 0xFC, 0x72]))
    #expect(throws: DatasetError.notUTF8(path: url.path, offset: 6)) { try TextCorpus.load(from: url) }
    let cut = try scratch.write("cut.txt", Data([0x61, 0xC3]))
    #expect(throws: DatasetError.notUTF8(path: cut.path, offset: 1)) { try TextCorpus.load(from: cut) }
  }

  @Test func damageIsFound() throws {
    let scratch = try Scratch()
    let bytes = try Data(contentsOf: TextCorpus.committed.locate())
    let cut = try scratch.write("cut.txt", bytes.dropLast())
    var error = try #require(throws: DatasetError.self) { try loadCommitted(cut) }
    #expect(error.description.hasPrefix("\(cut.path): damaged\n  expected: 354526 bytes"), "\(error)")
    #expect(error.description.contains("found: 354525 bytes"), "\(error)")
    var wrong = bytes
    wrong[1000] = 0xFF
    error = try #require(throws: DatasetError.self) { try loadCommitted(scratch.write("wrong.txt", wrong)) }
    #expect(error.description.contains("damaged (offset 1000: not text)"), "\(error)")
    error = try #require(throws: DatasetError.self) { try loadCommitted(scratch.folder.appending(path: "none.txt")) }
    #expect(error.description.contains("none.txt: no such file"), "\(error)")
  }
}
