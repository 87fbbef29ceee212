// From events of YAML to what a description says. Topologies have less than YAML: no anchors, aliases or tags, keys that
// are text, and limits of depth and size.

import TuttiTopology

/// Reads the one document of a text.
struct DescriptionReader: ~Copyable {
  private var events: YAMLEvents
  /// Scalars, sequences and mappings so far; keys are not counted.
  private var count = 0

  init(_ text: DescriptionText) throws(TopologyError) { events = try YAMLEvents(text) }

  /// The content of the text.
  ///
  /// - Throws: ``TopologyError`` for the first thing, in the order of the text, that is no YAML or that topologies do not
  ///   have.
  consuming func document() throws(TopologyError) -> DescriptionNode {
    guard case .documentStart = try events.next().kind else {
      throw TopologyError(.start, "the file is empty: it has 'hosts' at least (docs/TOPOLOGIES.md)")
    }
    let root = try node(try events.next(), depth: 1)
    // The end of the document.
    _ = try events.next()
    let end = try events.next()
    guard case .streamEnd = end.kind else {
      throw TopologyError(end.position, "another document begins here: a topology file has one")
    }
    return root
  }

  /// What begins with `event`. This calls itself once for each level, of which there are at most
  /// ``DescriptionNode/depthMax``.
  private mutating func node(_ event: YAMLEvent, depth: Int) throws(TopologyError) -> DescriptionNode {
    count += 1
    guard depth <= DescriptionNode.depthMax else {
      throw TopologyError(event.position, "more depth than a topology has: \(DescriptionNode.depthMax) levels")
    }
    guard count <= DescriptionNode.nodesMax else {
      throw TopologyError(event.position, "more than a topology has: \(DescriptionNode.nodesMax) values")
    }
    try refuseReferences(event)
    switch event.kind {
    case .scalar(let text, let isQuoted): return DescriptionNode(.scalar(text, isQuoted: isQuoted), event.position)
    case .sequenceStart: return DescriptionNode(.sequence(try elements(depth: depth + 1)), event.position)
    case .mappingStart: return DescriptionNode(.mapping(try members(depth: depth + 1)), event.position)
    case .alias, .sequenceEnd, .mappingEnd, .documentStart, .documentEnd, .streamEnd:
      // Aliases are refused above. The rest is no value, and libyaml's grammar has a value here.
      throw TopologyError(event.position, "not YAML: a value is missing")
    }
  }

  private mutating func elements(depth: Int) throws(TopologyError) -> [DescriptionNode] {
    var elements: [DescriptionNode] = []
    while true {
      let event = try events.next()
      if case .sequenceEnd = event.kind { return elements }
      elements.append(try node(event, depth: depth))
    }
  }

  private mutating func members(depth: Int) throws(TopologyError) -> [DescriptionNode.Member] {
    var members: [DescriptionNode.Member] = []
    var places: [String: TextPosition] = [:]
    while true {
      let event = try events.next()
      if case .mappingEnd = event.kind { return members }
      try refuseReferences(event)
      guard case .scalar(let key, _) = event.kind else { throw TopologyError(event.position, "a key must be text") }
      if let place = places.updateValue(event.position, forKey: key) {
        throw TopologyError(place, "given more than once: '\(key.shortened)'")
      }
      let value = try node(try events.next(), depth: depth)
      members.append(DescriptionNode.Member(key: key, position: event.position, value: value))
    }
  }

  /// Refuses what would have a value stand for another one, or be something else than it looks.
  private func refuseReferences(_ event: YAMLEvent) throws(TopologyError) {
    if case .alias(let name) = event.kind {
      throw TopologyError(
        event.position,
        "'*\(name.shortened)': topologies have no aliases; 'count', ranges such as node[0-7] and what regions take from the file say it once"
      )
    }
    if let anchor = event.anchor {
      throw TopologyError(event.position, "topologies have no anchors: leave out '&\(anchor.shortened)'")
    }
    if let tag = event.tag {
      throw TopologyError(event.position, "topologies have no tags: leave out '\(tag.shortened)'")
    }
  }
}
