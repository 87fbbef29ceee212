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
    let description: DescriptionNode
    do throws(TopologyError) { description = try DescriptionText(bytes).parsed() } catch {
      var error = error
      error.file = file
      throw error
    }
    try self.init(description, file: file)
  }
}
