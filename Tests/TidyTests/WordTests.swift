import Testing

/// What code, comments and error texts must not say.
@Suite struct WordTests {
  @Test func nothingIsLeftForLater() {
    // Written so that this file does not accuse itself.
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    var complaints: [String] = []
    for file in Repository.code + Repository.otherCode + Repository.scripts + Repository.documents {
      for (index, line) in file.lines.enumerated() {
        let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        for mark in marks where words.contains(Substring(mark)) {
          complaints.append(file.complaint(index, "\(mark): do it, or write an issue"))
        }
      }
    }
    expectNone(complaints)
  }

  @Test func bannedCallsStayOut() {
    let banned: [(pattern: Regex<Substring>, instead: String)] = [
      (/(?:^|[^\w.])print\s*\(/, "a library prints nothing; collbench writes through Terminal"),
      (/\bfatalError\s*\(/, "throw, or use precondition with a reason"),
      (/\btry!/, "handle the error"),
      (/\bDispatchQueue\b/, "threads are the engine's and the service's"),
      (/\busleep\s*\(|\b(?:Glibc|Thread)\.sleep\b|(?:^|[^\w.])sleep\s*\(\d/, "wait for something, with a deadline"),
    ]
    // What lines with such calls have in them.
    let words = ["print", "fatalError", "try!", "DispatchQueue", "sleep"]
    var complaints: [String] = []
    for file in Repository.swiftSources {
      for index in file.lines.indices {
        if !words.contains(where: file.lines[index].contains) { continue }
        let code = file.code(index)
        for rule in banned where code.contains(rule.pattern) { complaints.append(file.complaint(index, rule.instead)) }
      }
    }
    expectNone(complaints)
  }

  @Test func libraryErrorsNameNoFlags() { expectNone(flagComplaints(Repository.swiftSources)) }

  @Test func flagInLibraryErrorIsFound() {
    let text = """
      let advice = "Choose --transport tcp"
      // collbench adds --transport where it prints.
      let other = "docker --ulimit memlock=-1"
      """
    #expect(flagComplaints([SourceFile(path: "Sources/Tutti/Sample.swift", text: text)]).count == 1)
    #expect(flagComplaints([SourceFile(path: "Sources/collbench/Sample.swift", text: text)]).isEmpty)
  }

  /// A library's user has options and environment variables. Tools put these into their own words where they print.
  private func flagComplaints(_ files: [SourceFile]) -> [String] {
    let flag = /--(?:transport|ranks|hosts|hostfile|algorithm|sizes|registered|timeout|topology|iterations)\b/
    var complaints: [String] = []
    for file in files where file.module.hasPrefix("Tutti") {
      for index in file.lines.indices {
        let line = file.lines[index]
        if !line.contains("--") || line.drop(while: { $0 == " " }).hasPrefix("//") || !line.contains(flag) { continue }
        complaints.append(file.complaint(index, "a flag of a tool; name the option or the environment variable"))
      }
    }
    return complaints
  }

  // MARK: Summaries

  @Test func summariesAreSentences() { expectNone(summaryComplaints(Repository.swiftSources)) }

  @Test func fragmentIsFound() {
    let text = """
      /// Of the root.
      var first = 1
      /// The number of ranks.
      /// Of all of them.
      var second = 2
      ///
      /// The same for threads.
      var third = 3
      /// Has somebody know of it.
      func fourth() {}
      /// Hashes the bytes.
      func fifth() {}
      """
    let complaints = summaryComplaints([SourceFile(path: "Sources/Sample/Sample.swift", text: text)])
    #expect(complaints.count == 3, "\(complaints)")
  }

  /// A summary says what the thing is or does. One that begins like this sends the reader to what stands above.
  private func summaryComplaints(_ files: [SourceFile]) -> [String] {
    let beginnings = ["Of ", "The same for", "The same with", "The same,", "The same.", "Has ", "As ", "Also ", "Not "]
    var complaints: [String] = []
    for file in files {
      var isInside = false
      for (index, line) in file.lines.enumerated() {
        guard let comment = line.drop(while: { $0 == " " }).dropPrefix("///") else {
          isInside = false
          continue
        }
        let text = comment.drop { $0 == " " }
        // Numbers and conditions may well come first: "Not 0 once ...".
        let isFragment = beginnings.contains { text.hasPrefix($0) } && !text.hasPrefix("Not 0 ")
        if !isInside, isFragment {
          complaints.append(file.complaint(index, "a summary begins with '\(text.prefix(12))'; say what this is or does"))
        }
        if !text.isEmpty { isInside = true }
      }
    }
    return complaints
  }
}

extension Substring {
  /// What follows a prefix; nil for a text without it.
  fileprivate func dropPrefix(_ prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }
}
