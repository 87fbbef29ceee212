/// The processors that a rank's process may use, as all ranks know them. Travels.
package struct ProcessorAllowance: Hashable, Sendable {
  /// What the thread that joined may run on, from whoever started it. Never empty.
  package var inherited: ProcessorSet
  /// nil: as much time as there is.
  package var quota: ProcessorQuota?

  package init(inherited: ProcessorSet, quota: ProcessorQuota? = nil) {
    self.inherited = inherited
    self.quota = quota
  }
}

/// How many ranks compete for a host's processors, and how many of them can run at the same time: what decides how a rank
/// waits.
package struct HostLoad: Hashable, Sendable {
  package let ranks: Int
  /// At least 1.
  package let running: Int

  /// Ranks must take turns: one that spins may keep the one it waits for off its processor.
  package var isOversubscribed: Bool { running < ranks }

  /// How many ranks take turns on a processor, at least 1.
  package var ranksPerProcessor: Int { max(1, ranks / running) }

  /// The load of ranks that may each use these processors.
  ///
  /// Ranks compete for the union of what they may use, and so do those among them that are confined to a part of it.
  /// (Hall's condition for the sets that occur: exact where of two sets one contains the other or they have nothing in
  /// common, and never too low.) Those of one control group also share its quota.
  package init(_ allowances: [ProcessorAllowance]) {
    ranks = allowances.count
    var running = allowances.count
    let counts = allowances.reduce(into: [:]) { $0[$1.inherited, default: 0] += 1 }
    let union = counts.keys.reduce(ProcessorSet([])) { $0.union($1) }
    for processors in Set(counts.keys).union([union]) {
      let confined = counts.reduce(0) { $0 + ($1.key.isSubset(of: processors) ? $1.value : 0) }
      running = min(running, ranks - (confined - processors.count))
    }
    var timed = allowances.count { $0.quota == nil }
    for group in Dictionary(grouping: allowances.compactMap(\.quota), by: \.group).values {
      timed += min(group.count, group.map(\.processors).min() ?? 1)
    }
    self.running = max(1, min(running, timed))
  }
}
