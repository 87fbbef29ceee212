import Testing

/// The rules of the house that a compiler does not check. A rule that has to change is changed here, with the reason in its commit.
@Suite struct TidyTests {
  /// DESIGN: one way, top imports bottom. Modules of Sources, and what each may import of them and of packages.
  static let imports: [String: Set<String>] = [
    "TuttiSchedule": [],
    "TuttiAlgorithms": ["TuttiSchedule"],
    "TuttiTopology": [],
    // The one module with the YAML parser, which brings Foundation.
    "TuttiTopologyFiles": ["TuttiTopology", "Yams"],
    "TuttiSystem": ["TuttiTopology", "CTuttiLinux", "COpenSSL"],
    "TuttiTransport": ["TuttiSchedule", "TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "TuttiTCP": ["TuttiTransport", "TuttiSystem", "CTuttiLinux"],
    "TuttiSharedMemory": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "TuttiRDMA": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiVerbs"],
    // Never an algorithm or a transport: it knows plans and links.
    "TuttiEngine": ["TuttiSchedule", "TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiKernels", "CTuttiLinux"],
    "TuttiBootstrap": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "Tutti": [
      "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiSystem", "TuttiTransport", "TuttiTCP", "TuttiSharedMemory",
      "TuttiRDMA", "TuttiEngine", "TuttiBootstrap", "CTuttiLinux", "CTuttiKernels", "Logging",
    ],
    "TuttiTraining": ["Tutti", "TuttiSystem", "CTuttiKernels", "CTuttiLinux"],
    // For users' tests, which have Foundation; it gives it threads with a small stack.
    "TuttiTesting": [
      "Tutti", "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiSystem", "TuttiTransport", "Foundation",
    ],
    "TuttiLaunch": ["TuttiSystem", "CTuttiLinux"],
    "collbench": [
      "Tutti", "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiTopologyFiles", "TuttiLaunch", "TuttiTransport",
      "TuttiSystem", "CTuttiLinux", "ArgumentParser",
    ],
  ]

  /// What every module but the pure ones may import: the C library and atomics. Foundation is for none of them.
  static let system: Set = ["Glibc", "Synchronization"]
  static let pure: Set = ["TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiTopologyFiles"]

  static let linesMax = 500

  @Test func repositoryIsFound() {
    #expect(Repository.swiftSources.count > 20)
    #expect(!Repository.documents.isEmpty)
    #expect(!Repository.scripts.isEmpty)
  }

  @Test func importsGoOneWay() throws {
    let pattern =
      /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |private )?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/
    var complaints: [String] = []
    for file in Repository.swiftSources {
      guard let allowed = Self.imports[file.module] else {
        complaints.append("\(file.path): module \(file.module) is missing from the table of TidyTests.imports")
        continue
      }
      for index in file.lines.indices {
        guard let match = file.code(index).firstMatch(of: pattern) else { continue }
        let name = String(match.1)
        if allowed.contains(name) || (Self.system.contains(name) && !Self.pure.contains(file.module)) { continue }
        complaints.append(file.complaint(index, "\(file.module) may not import \(name)"))
      }
    }
    expectNone(complaints)
  }

  @Test func filesAreShort() {
    expectNone(
      (Repository.code + Repository.scripts).filter { $0.lineCount > Self.linesMax }
        .map { "\($0.path): \($0.lineCount) lines; split it by what it owns (at most \(Self.linesMax))" })
  }

  @Test func nothingIsLeftForLater() {
    // Written so that this file does not accuse itself.
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    var complaints: [String] = []
    for file in Repository.code + Repository.scripts + Repository.documents {
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
    var complaints: [String] = []
    for file in Repository.swiftSources {
      for index in file.lines.indices {
        let code = file.code(index)
        for rule in banned where code.contains(rule.pattern) { complaints.append(file.complaint(index, rule.instead)) }
      }
    }
    expectNone(complaints)
  }

  @Test func unsafeCodeGivesItsReason() {
    var complaints: [String] = []
    for file in Repository.swiftSources {
      for index in file.lines.indices {
        let code = file.code(index)
        let unsafe = ["@unchecked Sendable", "nonisolated(unsafe)"].first { code.contains($0) }
        if let unsafe, !file.hasComment(near: index) {
          complaints.append(file.complaint(index, "\(unsafe) without a comment that says why it is safe, within 3 lines"))
        }
      }
    }
    expectNone(complaints)
  }

  @Test func ownersOfMemorySaySo() {
    let property =
      /^\s+(?:(?:public|package|internal|private|fileprivate|final|@usableFromInline)\s+)*(?:let|var)\s+\w+\s*:\s*Unsafe[^{]*$/
    let type =
      /^\s*(?:@\w+\s+)*(?:(?:public|package|internal|private|fileprivate|final)\s+)*(?:struct|class|enum|actor)\s+\w+/
    var complaints: [String] = []
    for file in Repository.swiftSources {
      for index in file.lines.indices where file.code(index).contains(property) {
        let indent = file.lines[index].prefix { $0 == " " }.count
        let owner = file.lines[..<index].lastIndex { line in
          line.prefix { $0 == " " }.count < indent && line.contains(type)
        }
        guard let owner, !file.hasComment(near: index), !file.hasComment(near: owner) else { continue }
        complaints.append(
          file.complaint(index, "holds an unsafe pointer: say who owns the memory and until when, here or at the type"))
      }
    }
    expectNone(complaints)
  }

  @Test func filesOpenWithWhatTheyOwn() {
    let preamble = /^\s*(?:#.*|(?:@\w+(?:\([^)]*\))? )*(?:public |package |internal |private )?import .*)?$/
    expectNone(
      Repository.sources.compactMap { file in
        let first = file.lines.first { $0.wholeMatch(of: preamble) == nil }
        guard let first = first?.drop(while: \.isWhitespace), !first.hasPrefix("//"), !first.hasPrefix("/*") else {
          return nil
        }
        return "\(file.path): the first declaration has no comment: say what the file owns and its invariant"
      })
  }
}
