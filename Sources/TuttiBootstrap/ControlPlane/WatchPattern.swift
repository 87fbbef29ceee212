/// Says which ranks of a host watch whose process. Pure arithmetic.
///
/// On a host with few ranks, each watches all others. On one with many that would take as many descriptors and wake-ups
/// as there are pairs, so each watches its neighbours in the control tree and a few others. Whoever sees a process end
/// tells all ranks over the tree. That reaches everybody, however many end at once: they leave the tree in parts, and in
/// each part there is a neighbour of one that has ended.
///
/// The others that it watches are so many places before and after it among the ranks of the host, for every power of two: so
/// a death is known in several parts of the tree at once. The price: where another rank is stopped at the same moment, it
/// keeps the news from some of those behind it in the tree, until it is found to be silent itself.
enum WatchPattern {
  /// The number of ranks on a host up to which all watch all.
  static let allMax = 256

  /// The ranks whose processes one watches, ascending.
  ///
  /// - Parameter local: The ranks that can watch each other, this one among them, ascending.
  static func ranks(watchedBy rank: Int, of local: [Int], tree: ControlTree) -> [Int] {
    if local.count <= allMax { return local.filter { $0 != rank } }
    guard let place = local.firstIndex(of: rank) else { return [] }
    let neighbours = Set(tree.neighbours(of: rank))
    var places = Set(local.indices.filter { neighbours.contains(local[$0]) })
    var distance = 1
    while distance < local.count {
      for other in [place + distance, place - distance] { places.insert((other + local.count) % local.count) }
      distance *= 2
    }
    places.remove(place)
    return places.sorted().map { local[$0] }
  }
}
