import TuttiTopology

/// The message for a name nobody knows: what is known, and the nearest of it.
///
/// - Parameter what: What the name should have named: `algorithm`.
func unknown(_ what: String, _ name: String, known: [String]) -> String {
  var text = "unknown \(what) '\(String(name.prefix(64)))'."
  if let nearest = nearestName(to: name, in: known) { text += " Did you mean '\(nearest)'?" }
  return text + " Known: \(known.joined(separator: ", "))."
}
