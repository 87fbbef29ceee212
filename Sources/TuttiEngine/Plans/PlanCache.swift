import TuttiSchedule

/// The plans of one communicator, least recently used first, as many as ``bytesMax`` holds. Used under the engine's
/// lock.
///
/// Finding, noting a use and dropping the oldest take the same time however many there are. Invariant: `oldest` and
/// `newest` are the ends of a list through all entries that are in `places`; free entries are in no list.
struct PlanCache {
  /// Some 3,000 plans of an all-reduce between 8 ranks.
  static let bytesMax = 32 << 20

  private struct Entry {
    var key: PlanKey
    var plan: CompiledPlan
    /// Its neighbours in the order of use; -1 at an end.
    var older: Int
    var newer: Int
  }

  private let bytesMax: Int
  private var places: [PlanKey: Int] = [:]
  private var entries: [Entry?] = []
  private var free: [Int] = []
  private var oldest = -1
  private var newest = -1
  private(set) var bytes = 0

  init(bytesMax: Int = Self.bytesMax) { self.bytesMax = bytesMax }

  var count: Int { places.count }

  /// The plan for a key, which is now the one used last.
  mutating func find(_ key: PlanKey) -> CompiledPlan? {
    guard let place = places[key] else { return nil }
    if place != newest {
      unlink(place)
      append(place)
    }
    return entries[place]?.plan
  }

  /// Keeps a plan. Makes room by dropping those used longest ago that no operation runs.
  ///
  /// - Parameter drop: Called with each key that is dropped.
  mutating func insert(_ plan: CompiledPlan, for key: PlanKey, dropping drop: (PlanKey) -> Void) {
    precondition(places[key] == nil, "a plan is kept once")
    bytes += plan.bytes
    var place = oldest
    while bytes > bytesMax, place >= 0, let entry = entries[place] {
      if entry.plan.uses == 0 {
        unlink(place)
        places[entry.key] = nil
        entries[place] = nil
        free.append(place)
        bytes -= entry.plan.bytes
        drop(entry.key)
      }
      place = entry.newer
    }
    let entry = Entry(key: key, plan: plan, older: -1, newer: -1)
    if let reused = free.popLast() {
      entries[reused] = entry
      place = reused
    } else {
      entries.append(entry)
      place = entries.count - 1
    }
    places[key] = place
    append(place)
  }

  private mutating func unlink(_ place: Int) {
    guard let entry = entries[place] else { preconditionFailure("an entry without a plan is in no list") }
    if entry.older >= 0 { entries[entry.older]?.newer = entry.newer } else { oldest = entry.newer }
    if entry.newer >= 0 { entries[entry.newer]?.older = entry.older } else { newest = entry.older }
  }

  private mutating func append(_ place: Int) {
    entries[place]?.older = newest
    entries[place]?.newer = -1
    if newest >= 0 { entries[newest]?.newer = place } else { oldest = place }
    newest = place
  }
}
