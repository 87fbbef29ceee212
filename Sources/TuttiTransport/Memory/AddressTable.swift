/// Maps ranges of addresses to values. The ranges are sorted, and no two overlap. Finding takes logarithmic time, because
/// every large call does it.
package struct AddressTable<Value> {
  private struct Entry {
    let start: UInt
    let bytes: UInt
    let value: Value
  }
  private var entries: [Entry] = []

  package init() {}

  package var isEmpty: Bool { entries.isEmpty }

  package var values: [Value] { entries.map(\.value) }

  /// All ranges, in order of address.
  package var ranges: [(start: UInt, bytes: Int)] { entries.map { ($0.start, Int($0.bytes)) } }

  /// The number of entries that begin at `address` or before.
  private func count(upTo address: UInt) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Adds a range. Precondition: it overlaps no other.
  package mutating func insert(_ start: UInt, bytes: Int, _ value: Value) {
    precondition(!overlaps(start, bytes: bytes), "ranges of addresses must not overlap")
    entries.insert(Entry(start: start, bytes: UInt(bytes), value: value), at: count(upTo: start))
  }

  /// Removes the range that begins at `start`, and returns its value; nil when there is none.
  package mutating func remove(_ start: UInt) -> Value? {
    let index = count(upTo: start) - 1
    guard index >= 0, entries[index].start == start else { return nil }
    return entries.remove(at: index).value
  }

  /// Whether the range overlaps one of the table.
  package func overlaps(_ start: UInt, bytes: Int) -> Bool {
    let index = count(upTo: start)
    if index > 0, start - entries[index - 1].start < entries[index - 1].bytes { return true }
    return index < entries.count && entries[index].start - start < UInt(bytes)
  }

  /// The value of the range that holds all of the bytes from `address` on; nil when none does.
  package func find(_ address: UInt, bytes: Int) -> Value? {
    let index = count(upTo: address) - 1
    guard index >= 0 else { return nil }
    let offset = address - entries[index].start
    return offset <= entries[index].bytes && UInt(bytes) <= entries[index].bytes - offset ? entries[index].value : nil
  }
}
