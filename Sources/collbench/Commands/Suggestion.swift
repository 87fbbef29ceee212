import TuttiTopology

/// Writes the message for an unknown name: which names are known, and the nearest of them.
///
/// - Parameter what: What the name should have named: `algorithm`.
func unknown(_ what: String, _ name: String, known: [String]) -> String {
  var text = "unknown \(what) '\(String(name.prefix(64)))'."
  if let nearest = nearestName(to: name, in: known) { text += " Did you mean '\(nearest)'?" }
  return text + " Known: \(Catalog.forms(of: known).joined(separator: ", "))."
}
