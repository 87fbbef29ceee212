// The YAML parser's part: the only file that imports it.

import TuttiTopology
import Yams

extension DescriptionText {
  /// The content of the file.
  ///
  /// - Throws: ``TopologyError`` where it is not one document of YAML, or has what topologies do not: anchors, keys that
  ///   are not text, more depth or more nodes than ``DescriptionNode`` allows.
  func parsed() throws(TopologyError) -> DescriptionNode {
    do {
      // The encoding is said, because the parser's default reads an environment variable, and prints.
      let parser = try Parser(yaml: text, encoding: .utf8)
      // Nodes know their anchors only as long as the parser is there.
      return try withExtendedLifetime(parser) {
        guard let root = try parser.singleRoot() else {
          throw TopologyError(.start, "the file is empty: it has 'hosts' at least (docs/TOPOLOGIES.md)")
        }
        var conversion = Conversion()
        return try conversion.converted(root, depth: 1)
      }
    } catch let error as TopologyError {
      throw error
    } catch let error as YamlError {
      throw located(error)
    } catch {
      throw TopologyError(.start, "the file cannot be parsed: \(error)")
    }
  }

  private func located(_ error: YamlError) -> TopologyError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return TopologyError(TextPosition(mark), "not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.map { "'\($0.prefix(64))'" }.joined(separator: ", ")
      return TopologyError(TextPosition(context.mark), "given more than once: \(keys)")
    case .reader(let problem, let offset, _, let yaml):
      // The offset counts what Swift takes for characters.
      let before = offset.map { yaml.prefix($0).utf8.count }
      return TopologyError(before.map(position) ?? .start, "not YAML: \(problem)")
    default:
      return TopologyError(.start, "the file cannot be parsed: \(error)")
    }
  }
}

extension TextPosition {
  fileprivate init(_ mark: Mark?) { self.init(line: max(1, mark?.line ?? 1), column: max(1, mark?.column ?? 1)) }
}

/// From the parser's tree to ours.
private struct Conversion {
  private var count = 0

  mutating func converted(_ node: Node, depth: Int) throws(TopologyError) -> DescriptionNode {
    let position = TextPosition(node.mark)
    count += 1
    guard depth <= DescriptionNode.depthMax, count <= DescriptionNode.nodesMax else {
      let most =
        depth > DescriptionNode.depthMax ? "\(DescriptionNode.depthMax) levels" : "\(DescriptionNode.nodesMax) values"
      throw TopologyError(position, "more than a topology has: \(most)")
    }
    guard node.anchor == nil else {
      throw TopologyError(position, "topologies have no anchors: leave out '&\(node.anchor?.rawValue.prefix(32) ?? "")'")
    }
    switch node {
    case .scalar(let scalar):
      try refuseTag(scalar.tag, position)
      return DescriptionNode(.scalar(scalar.string, isQuoted: scalar.style != .plain), position)
    case .sequence(let sequence):
      try refuseTag(sequence.tag, position)
      var elements: [DescriptionNode] = []
      for element in sequence { elements.append(try converted(element, depth: depth + 1)) }
      return DescriptionNode(.sequence(elements), position)
    case .mapping(let mapping):
      try refuseTag(mapping.tag, position)
      var members: [DescriptionNode.Member] = []
      for (key, value) in mapping {
        guard case .scalar(let name) = key else { throw TopologyError(TextPosition(key.mark), "a key must be text") }
        members.append(
          DescriptionNode.Member(
            key: name.string, position: TextPosition(name.mark), value: try converted(value, depth: depth + 1)))
      }
      return DescriptionNode(.mapping(members), position)
    case .alias:
      throw TopologyError(position, "topologies have no aliases")
    }
  }

  /// A tag would say that a value is something else than it looks. Quoted scalars have that of text from the parser.
  private func refuseTag(_ tag: Tag, _ position: TextPosition) throws(TopologyError) {
    guard ["", "tag:yaml.org,2002:str"].contains(tag.rawValue) else {
      throw TopologyError(position, "topologies have no tags: leave out '\(tag.rawValue.prefix(32))'")
    }
  }
}
