import TuttiSystem

/// Checks whether all ranks have the same settings.
enum SettingsAgreement {
  /// Says what differs, by the first setting that does; nil when all agree. `settings` is by rank.
  static func problem(_ settings: [[String: String]]) -> FailureReport? {
    for name in Set(settings.flatMap(\.keys)).sorted() {
      let groups = Dictionary(grouping: settings.indices) { settings[$0][name] }
      guard groups.count > 1 else { continue }
      // The larger group is taken to be right; among equals the one with the lowest rank.
      let ordered = groups.sorted { ($0.value.count, $1.value[0]) > ($1.value.count, $0.value[0]) }
      let words = ordered.prefix(4).map { value, ranks in
        "\(rankListText(ranks)) \(ranks.count == 1 ? "has" : "have") \(value.map { "\"\($0)\"" } ?? "no value")"
      }
      let odd = ordered.dropFirst().flatMap(\.value)
      return FailureReport(
        .configuration, rank: 0, peer: odd.count == 1 ? odd[0] : -1,
        "setting \(name) must be equal on all ranks: \(words.joined(separator: ", "))",
        advice: "Set \(name) to the same value on \(rankListText(odd.sorted())) as on the others")
    }
    return nil
  }
}
