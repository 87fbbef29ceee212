// Names that somebody may have meant.

/// The known name with the smallest edit distance, when that is small enough to be a slip.
package func nearestName(to name: String, in known: [String]) -> String? {
  let wanted = Array(name.lowercased().prefix(64))
  let ranked = known.map { (name: $0, distance: editDistance(wanted, Array($0.lowercased()))) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
  return best.distance <= max(2, best.name.count / 3) ? best.name : nil
}

/// Levenshtein distance, one row at a time.
package func editDistance(_ left: [Character], _ right: [Character]) -> Int {
  var row = Array(0...right.count)
  for (i, character) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in right.enumerated() {
      let substituted = diagonal + (character == other ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
    }
  }
  return row[right.count]
}
