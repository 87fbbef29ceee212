import Testing

/// Memory and descriptors say who owns them.
@Suite struct OwnershipTests {
  @Test func unsafeCodeGivesItsReason() {
    var complaints: [String] = []
    for file in Repository.swiftSources {
      for index in file.lines.indices where file.lines[index].contains("un") {
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
      for index in file.lines.indices where file.lines[index].contains(": Unsafe") && file.code(index).contains(property) {
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

  // MARK: Descriptors

  /// Fields that hold the number of a descriptor that something else owns, and what that is.
  private static let unowned: [String: String] = [
    "OwnedDescriptor.swift raw": "these are the owners",
    "Doorbell.swift descriptor": "the doorbell lives as long as its view; a link that has a peer's doorbell owns it",
    "TCPLink.swift socket": "`owner` beside it",
    "RDMALink.swift waiting": "`epoll` beside it, or the completion channel of `connection`",
    "ChildProcess.swift descriptors": "numbers that the caller keeps open until the child is started",
    "ChildStarter.swift lifeline": "open as long as the process lives",
    "DescriptorWatch.swift descriptor": "its owner cancels the watch before it closes it",
    "PMIClient.swift descriptor": "the launcher's, until a client takes it over",
    "FramedConnection.swift descriptor": "`connection` beside it",
    "HandshakeDialer.swift socket": "the caller, for the time of a handshake",
  ]

  @Test func descriptorsHaveOneOwner() { expectNone(descriptorComplaints(Repository.swiftSources)) }

  @Test func nakedDescriptorIsFound() {
    let text = """
      /// A sample.
      final class Sample {
        private let socket: Int32
        var timers: [Int32] = []
        let code: Int32
        let owner: OwnedDescriptor
        var descriptor: Int32 { owner.raw }

        func wait() {
          let descriptor: Int32 = owner.raw
          poll(descriptor)
        }
      }
      """
    let complaints = descriptorComplaints([SourceFile(path: "Sources/Tutti/Sample.swift", text: text)])
    #expect(complaints.count == 2, "\(complaints)")
    #expect(descriptorComplaints([SourceFile(path: "Sources/TuttiTCP/TCPLink.swift", text: text)]).count == 1)
  }

  @Test func listOfUnownedDescriptorsIsUpToDate() {
    expectNone(
      Self.unowned.keys.filter { key in
        let words = key.split(separator: " ").map(String.init)
        return !Repository.swiftSources.contains { file in
          file.path.hasSuffix("/" + words[0]) && file.lines.contains { $0.contains(" \(words[1]): ") }
        }
      }.map { "\($0): there is no such field any more; take it off the list" })
  }

  /// Stored numbers whose names say that they are descriptors.
  private func descriptorComplaints(_ files: [SourceFile]) -> [String] {
    let field =
      /^\s+(?:(?:public|package|internal|private|fileprivate|final|static|nonisolated)(?:\(\w+\))?\s+)*(?:let|var)\s+(\w+)\s*:[^={]*\bInt32\b[^{]*$/
    let name =
      /(?i)descriptor|socket|epoll|timer|listener|eventfd|pidfd|signalfd|memfd|pipe|lifeline|bell|waiting|^fd$|^raw$/
    var complaints: [String] = []
    for file in files {
      for index in file.lines.indices {
        if !file.lines[index].contains("Int32") { continue }
        let code = file.code(index)
        guard let match = code.firstMatch(of: field), match.1.contains(name) else { continue }
        guard file.owner(of: index) != nil else { continue }
        let key = "\(file.path.split(separator: "/").last!) \(match.1)"
        if Self.unowned[key] != nil { continue }
        complaints.append(
          file.complaint(index, "a descriptor without an owner: store an OwnedDescriptor, or list its owner"))
      }
    }
    return complaints
  }
}
