/// Several names in a row: `node[001-128]` is node001 to node128, as in the host lists of Slurm; `node7` is itself.
struct NamePattern {
  let names: HostNames
  /// nil: a prefix, to which numbers may be added.
  let count: Int?
  let prefix: String

  /// - Parameters:
  ///   - node: The scalar.
  ///   - countMax: The most names that there may be.
  init(_ node: DescriptionNode, _ field: String, countMax: Int) throws(DescriptionError) {
    let text = try node.text(field)
    guard let open = text.firstIndex(of: "[") else {
      prefix = try node.name(field)
      names = .numbered(prefix: prefix, first: 0, digits: 1)
      count = nil
      return
    }
    prefix = String(text[..<open])
    let range = text[text.index(after: open)...]
    let ends = range.dropLast().split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard range.last == "]", ends.count == 2, let first = wholeNumber(ends[0]), let last = wholeNumber(ends[1]),
      first <= last, ends[0].count <= 9, ends[1].count <= 9
    else { throw node.error(field, "\(node.kind) must be a prefix and a range, such as node[001-128]") }
    guard last - first < countMax else {
      throw node.error(field, "\(node.kind) has \(last - first + 1) names: \(countMax) is the most")
    }
    // The prefix must be one that a name can have.
    _ = try DescriptionNode(.scalar(prefix + ends[1], isQuoted: true), node.position).name(field)
    names = .numbered(prefix: prefix, first: first, digits: ends[0].count)
    count = last - first + 1
  }
}
