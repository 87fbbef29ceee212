/// What a file describes, in the words of errors.
package struct DescriptionKind: Sendable {
  /// `a topology`.
  let one: String
  /// `topologies`.
  let many: String
  /// What one has at least, and where to read of it.
  let least: String
  /// What to write instead of an alias.
  let insteadOfAliases: String

  package init(one: String, many: String, least: String, insteadOfAliases: String) {
    self.one = one
    self.many = many
    self.least = least
    self.insteadOfAliases = insteadOfAliases
  }

  package static let topology = DescriptionKind(
    one: "a topology", many: "topologies", least: "it has 'hosts' at least (docs/TOPOLOGIES.md)",
    insteadOfAliases: "'count', ranges such as node[0-7] and what regions take from the file say it once")

  package func refusal(of something: String, leaving out: String) -> String {
    "\(many) have no \(something): leave out '\(out)'"
  }

  package func refusal(ofAlias name: String) -> String { "'*\(name)': \(many) have no aliases; \(insteadOfAliases)" }

  package var emptiness: String { "the file is empty: \(least)" }
  package var secondDocument: String { "another document begins here: the file of \(one) has one" }
  package func tooMuch(_ what: String, _ most: String) -> String { "more \(what) than \(one) has: \(most)" }
}
