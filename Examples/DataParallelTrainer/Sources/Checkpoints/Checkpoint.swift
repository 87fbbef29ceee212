import Foundation

/// A checkpoint that is whole, as its name and its manifest say. Any number of ranks can read it.
public struct Checkpoint: Sendable {
  public let folder: String
  public let manifest: CheckpointManifest

  /// - Throws: ``CheckpointError`` with `.interrupted`, `.unreadable`, `.newerFormat` or `.damaged`.
  public init(folder: String) throws(CheckpointError) {
    self.folder = folder
    manifest = try CheckpointManifest.read(folder: folder)
  }

  /// Refuses a checkpoint of another model.
  ///
  /// - Throws: ``CheckpointError`` with `.foreignModel`, which says what differs.
  public func check(_ identity: CheckpointIdentity) throws(CheckpointError) {
    if let difference = manifest.identity.difference(from: identity) {
      throw CheckpointError(
        .foreignModel, folder,
        "is of another model: \(difference). Start with the options it was written with, or without --resume.")
    }
  }

  /// Refuses a checkpoint whose parameters are not those of the model that was made after its manifest.
  ///
  /// - Parameter parameters: The model's parameters, in its order.
  /// - Throws: ``CheckpointError`` with `.foreignModel`, which says what differs.
  public func check(parameters: [CheckpointParameter]) throws(CheckpointError) {
    var made = manifest.identity
    made.parameters = parameters
    if let difference = manifest.identity.difference(from: made) {
      throw CheckpointError(
        .foreignModel, folder,
        "is of another model than this program makes of the sizes in its manifest: \(difference). Use the program that "
          + "wrote it, or another checkpoint.")
    }
  }

  /// Fills the pieces from all shards; the caller decides which ranges it needs.
  ///
  /// Every shard is compared with its SHA-256 first, so memory is not touched by a damaged checkpoint.
  /// - Throws: ``CheckpointError`` with `.damaged`, naming the shard and what was expected.
  /// - Complexity: Every rank reads all shards.
  public func read<Element>(into pieces: [CheckpointPiece<Element>]) throws(CheckpointError) {
    guard manifest.identity.elementType == Element.checkpointName else {
      throw CheckpointError(
        .foreignModel, folder, "its elements are \(manifest.identity.elementType), not \(Element.checkpointName).")
    }
    var shards: [ShardContents] = []
    for rank in manifest.shards.indices {
      shards.append(try ShardContents(folder: folder, manifest, rank: rank, elementBytes: MemoryLayout<Element>.stride))
    }
    try checkComplete(shards.flatMap(\.entries))
    for shard in shards {
      for entry in shard.entries {
        for piece in pieces { shard.copy(entry, into: piece) }
      }
    }
  }

  /// Checks that every element of every parameter and state is in exactly one shard.
  private func checkComplete(_ entries: [ShardContents.Entry]) throws(CheckpointError) {
    let sorted = entries.filter { !$0.range.isEmpty }.sorted {
      ($0.parameter, $0.part.code, $0.range.lowerBound) < ($1.parameter, $1.part.code, $1.range.lowerBound)
    }
    var rest = sorted[...]
    for (index, parameter) in manifest.identity.parameters.enumerated() {
      for code in 0...UInt32(manifest.identity.states.count) {
        var next = 0
        while let entry = rest.first, entry.parameter == index, entry.part.code == code, entry.range.lowerBound == next {
          next = entry.range.upperBound
          rest.removeFirst()
        }
        if next == parameter.count { continue }
        throw CheckpointError(
          .damaged, folder,
          "its shards do not hold the \(CheckpointPart(code: code)) of '\(parameter.name)' once each: expected "
            + "\(parameter.count) elements, found \(next) in order. Use an older checkpoint.")
      }
    }
    if let entry = rest.first {
      throw CheckpointError(
        .damaged, folder,
        "its shards hold the \(entry.part) of parameter \(entry.parameter), which its manifest does not name.")
    }
  }
}
