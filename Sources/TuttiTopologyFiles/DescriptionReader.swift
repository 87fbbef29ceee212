// From events of YAML to what a description says. Descriptions have less than YAML: no anchors, aliases or tags, keys that
// are text, and limits of depth and size.

import TuttiTopology

/// Reads the one document of a text.
struct DescriptionReader: ~Copyable {
  private var events: YAMLEvents
  private let kind: DescriptionKind
  /// Scalars, sequences and mappings so far; keys are not counted.
  private var count = 0

  init(_ text: DescriptionText) throws(DescriptionError) {
    kind = text.kind
    events = try YAMLEvents(text)
  }

  /// The content of the text.
  ///
  /// - Throws: ``DescriptionError`` for the first thing, in the order of the text, that is no YAML or that descriptions do
  ///   not have.
  consuming func document() throws(DescriptionError) -> DescriptionNode {
    guard case .documentStart = try events.next().kind else {
      throw DescriptionError(.start, kind.emptiness)
    }
    let root = try node(try events.next(), depth: 1)
    // The end of the document.
    _ = try events.next()
    let end = try events.next()
    guard case .streamEnd = end.kind else {
      throw DescriptionError(end.position, kind.secondDocument)
    }
    return root
  }

  /// What begins with `event`. This calls itself once for each level, of which there are at most
  /// ``DescriptionNode/depthMax``.
  private mutating func node(_ event: YAMLEvent, depth: Int) throws(DescriptionError) -> DescriptionNode {
    count += 1
    guard depth <= DescriptionNode.depthMax else {
      throw DescriptionError(event.position, kind.tooMuch("depth", "\(DescriptionNode.depthMax) levels"))
    }
    guard count <= DescriptionNode.nodesMax else {
      throw DescriptionError(event.position, kind.tooMuch("values", "\(DescriptionNode.nodesMax) values"))
    }
    try refuseReferences(event)
    switch event.kind {
    case .scalar(let text, let isQuoted): return DescriptionNode(.scalar(text, isQuoted: isQuoted), event.position)
    case .sequenceStart: return DescriptionNode(.sequence(try elements(depth: depth + 1)), event.position)
    case .mappingStart: return DescriptionNode(.mapping(try members(depth: depth + 1)), event.position)
    case .alias, .sequenceEnd, .mappingEnd, .documentStart, .documentEnd, .streamEnd:
      // Aliases are refused above. The rest is no value, and libyaml's grammar has a value here.
      throw DescriptionError(event.position, "not YAML: a value is missing")
    }
  }

  private mutating func elements(depth: Int) throws(DescriptionError) -> [DescriptionNode] {
    var elements: [DescriptionNode] = []
    while true {
      let event = try events.next()
      if case .sequenceEnd = event.kind { return elements }
      elements.append(try node(event, depth: depth))
    }
  }

  private mutating func members(depth: Int) throws(DescriptionError) -> [DescriptionNode.Member] {
    var members: [DescriptionNode.Member] = []
    var places: [String: TextPosition] = [:]
    while true {
      let event = try events.next()
      if case .mappingEnd = event.kind { return members }
      try refuseReferences(event)
      guard case .scalar(let key, _) = event.kind else { throw DescriptionError(event.position, "a key must be text") }
      if let place = places.updateValue(event.position, forKey: key) {
        throw DescriptionError(place, "given more than once: '\(key.shortened)'")
      }
      let value = try node(try events.next(), depth: depth)
      members.append(DescriptionNode.Member(key: key, position: event.position, value: value))
    }
  }

  /// Refuses aliases, anchors and tags, with which a value would stand for another one, or not be what it looks like.
  private func refuseReferences(_ event: YAMLEvent) throws(DescriptionError) {
    if case .alias(let name) = event.kind {
      throw DescriptionError(event.position, kind.refusal(ofAlias: name.shortened))
    }
    if let anchor = event.anchor {
      throw DescriptionError(event.position, kind.refusal(of: "anchors", leaving: "&\(anchor.shortened)"))
    }
    if let tag = event.tag {
      throw DescriptionError(event.position, kind.refusal(of: "tags", leaving: tag.shortened))
    }
  }
}
