// Files that describe something: bytes in, what they say out, or the place of the first mistake.

import TuttiTopology

extension Topology {
  /// The topology that a file describes, in YAML or JSON (`docs/TOPOLOGIES.md`).
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - file: Its name, for errors.
  /// - Throws: ``DescriptionError`` for the first thing that is wrong: too long, no UTF-8, no YAML, or no topology.
  package init(file: String, bytes: some Collection<UInt8>) throws(DescriptionError) {
    try self.init(try DescriptionNode(file: file, bytes: bytes, kind: .topology), file: file)
  }
}

extension DescriptionNode {
  /// The most bytes of a file. The largest of `Topologies` has two thousand.
  package static let fileBytesMax = 1 << 20

  /// What a file says, whether or not that makes sense.
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - file: Its name, for errors.
  ///   - kind: What it is to describe, for errors.
  /// - Throws: ``DescriptionError`` where it is too long, no UTF-8, not one document of YAML, or has what no
  ///   description has: anchors, aliases, tags, keys that are not text or are given twice, too much depth, too many values.
  package init(file: String, bytes: some Collection<UInt8>, kind: DescriptionKind) throws(DescriptionError) {
    do throws(DescriptionError) { self = try DescriptionReader(try DescriptionText(bytes, kind)).document() } catch {
      var error = error
      error.file = file
      throw error
    }
  }
}
