/// Which processors and memory belong together, as the kernel says under `/sys/devices/system`.
package struct ProcessorTopology: Hashable, Sendable {
  /// A NUMA node. A host whose kernel does not tell them has none.
  package struct Node: Hashable, Sendable {
    package let number: Int
    /// Those online; empty for a node that is memory alone.
    package let processors: ProcessorSet
    /// A node of processors alone has its memory elsewhere.
    package let hasMemory: Bool

    package init(number: Int, processors: ProcessorSet, hasMemory: Bool) {
      self.number = number
      self.processors = processors
      self.hasMemory = hasMemory
    }
  }

  /// By number; those online.
  package let nodes: [Node]
  /// The processors that are one core's threads, by the least of them.
  package let cores: [ProcessorSet]

  package init(nodes: [Node], cores: [ProcessorSet]) {
    self.nodes = nodes
    self.cores = cores
  }
}

extension [ProcessorTopology.Node] {
  /// The node whose memory is nearest to all of these processors: nil on a host of one node, where they are spread over
  /// several, and where theirs has no memory.
  package func memoryNode(of processors: ProcessorSet) -> Int? {
    guard count > 1 else { return nil }
    return first { $0.hasMemory && processors.isSubset(of: $0.processors) }?.number
  }
}

extension ProcessorTopology {
  /// Divides processors among ranks in equal contiguous shares; no two have a processor in common.
  ///
  /// Nodes first: each gets ranks in proportion to its processors, and no share crosses nodes unless there are more nodes
  /// than ranks; then each rank has whole nodes. Within a node cores stay whole unless there are fewer than ranks, and
  /// shares differ by one at most.
  ///
  /// - Parameters:
  ///   - processors: At least as many as ranks.
  ///   - ranks: At least 1.
  package func divide(_ processors: ProcessorSet, among ranks: Int) -> [ProcessorSet] {
    precondition((1...max(1, processors.count)).contains(ranks), "a rank's share is a processor at least")
    var groups = nodes.map { $0.processors.intersection(processors) }
    groups.append(groups.reduce(processors) { $0.subtracting($1) })
    groups.removeAll(where: \.isEmpty)
    if ranks < groups.count { return Self.portions(groups, ranks) }
    // Highest averages (Jefferson): the next rank goes where its share is largest. No node gets more ranks than processors,
    // and one much smaller than the others may get none.
    var counts = [Int](repeating: 0, count: groups.count)
    for _ in 0..<ranks {
      let shares = groups.indices.map { Double(groups[$0].count) / Double(counts[$0] + 1) }
      counts[shares.firstIndex(of: shares.max()!)!] += 1
    }
    return zip(groups, counts).flatMap { group, count in count == 0 ? [] : divideNode(group, among: count) }
  }

  private func divideNode(_ processors: ProcessorSet, among ranks: Int) -> [ProcessorSet] {
    let whole = cores.map { $0.intersection(processors) }.filter { !$0.isEmpty }
    let other = whole.reduce(processors) { $0.subtracting($1) }
    let units = whole + other.numbers.map { ProcessorSet([$0]) }
    if units.count >= ranks { return Self.portions(units, ranks) }
    return Self.portions(units.flatMap { $0.numbers.map { ProcessorSet([$0]) } }, ranks)
  }

  /// Unions of neighbours, as many as `count`, which is at most as many as there are parts.
  private static func portions(_ parts: [ProcessorSet], _ count: Int) -> [ProcessorSet] {
    (0..<count).map { index in
      parts[index * parts.count / count..<(index + 1) * parts.count / count].reduce(ProcessorSet([])) { $0.union($1) }
    }
  }
}
