// Files that describe topologies: bytes in, a checked model out, or the place of the first mistake.

import TuttiTopology

extension Topology {
  /// The most bytes of a file. The largest of `Topologies` has two thousand.
  package static let fileBytesMax = 1 << 20

  /// The topology that a file describes, in YAML or JSON (`docs/TOPOLOGIES.md`).
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - file: Its name, for errors.
  /// - Throws: ``TopologyError`` for the first thing that is wrong: too long, no UTF-8, no YAML, or no topology.
  package init(file: String, bytes: some Collection<UInt8>) throws(TopologyError) {
    try self.init(try DescriptionNode(file: file, bytes: bytes), file: file)
  }
}

extension DescriptionNode {
  /// What a file says, whether or not that is a topology.
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - file: Its name, for errors.
  /// - Throws: ``TopologyError`` where it is too long, no UTF-8, not one document of YAML, or has what no topology has:
  ///   anchors, aliases, tags, keys that are not text or are given twice, too much depth or too many values.
  package init(file: String, bytes: some Collection<UInt8>) throws(TopologyError) {
    do throws(TopologyError) { self = try DescriptionReader(try DescriptionText(bytes)).document() } catch {
      var error = error
      error.file = file
      throw error
    }
  }
}
