import Foundation

/// Writes and reads the checkpoints of a run together with the other ranks.
///
/// Invariant: every rank calls the same methods in the same order, and all of them return, or all throw the error of the
/// lowest rank that failed. What a failed or interrupted write leaves is not taken for a checkpoint, and no older one is
/// gone.
public struct CheckpointStore {
  /// Gives every rank's bytes to every rank, by rank; blocks until all have called it.
  public typealias Exchange = ([UInt8]) throws -> [[UInt8]]

  private let folder: CheckpointFolder
  private let identity: CheckpointIdentity
  private let keep: Int
  private let rank: Int
  private let rankCount: Int
  private let exchange: Exchange
  /// The lock that rank 0 holds from the first call that writes on; copies of this value share it.
  private let lock = FolderLock()

  /// - Parameters:
  ///   - folder: The same on every rank, on a file system that all of them see.
  ///   - identity: What this run trains; equal on all ranks.
  ///   - keep: How many of the newest checkpoints stay, at least 1.
  public init(
    folder: String, identity: CheckpointIdentity, keep: Int, rank: Int, rankCount: Int, exchange: @escaping Exchange
  ) {
    precondition(keep >= 1 && rankCount >= 1 && (0..<rankCount).contains(rank))
    self.folder = CheckpointFolder(path: folder)
    self.identity = identity
    self.keep = keep
    self.rank = rank
    self.rankCount = rankCount
    self.exchange = exchange
  }

  // MARK: Reading

  /// Returns the newest checkpoint, which any number of ranks may have written. All ranks get the one that rank 0 sees as
  /// the newest.
  ///
  /// - Throws: ``CheckpointError`` with `.noCheckpoint`, `.interrupted`, `.unreadable`, `.newerFormat`, `.damaged` or
  ///   `.foreignModel`; what `exchange` throws.
  public func latest() throws -> Checkpoint {
    let found = try together { () throws(CheckpointError) in
      rank == 0 ? try folder.latest().folder : ""
    }
    var checkpoint: Checkpoint?
    _ = try together { () throws(CheckpointError) in
      let opened = try Checkpoint(folder: found[0])
      try opened.check(identity)
      checkpoint = opened
      return ""
    }
    guard let checkpoint else { preconditionFailure("opened, or an error was thrown") }
    return checkpoint
  }

  /// Fills the pieces that each rank needs. See ``Checkpoint/read(into:)``.
  ///
  /// - Throws: ``CheckpointError`` with `.damaged` or `.foreignModel`; what `exchange` throws.
  public func read<Element>(_ checkpoint: Checkpoint, into pieces: [CheckpointPiece<Element>]) throws {
    _ = try together { () throws(CheckpointError) in
      try checkpoint.read(into: pieces)
      return ""
    }
  }

  // MARK: Writing

  /// Makes the folder or refuses it, before the run has done work that would be lost. Rank 0 keeps other runs out of it from
  /// here on, until the last copy of this value is gone.
  ///
  /// - Parameter lastStep: The step of the checkpoint the run goes on from; 0 for a new run.
  /// - Throws: ``CheckpointError`` with `.foreignModel`, `.occupied` (also while another run writes there), `.interrupted`,
  ///   `.damaged`, `.newerFormat`, `.unreadable`, `.unwritable`, `.diskFull`; what `exchange` throws.
  public func prepare(lastStep: Int) throws {
    _ = try together { () throws(CheckpointError) in
      if rank == 0 { try folder.prepare(for: identity, lastStep: lastStep, lock) }
      return ""
    }
  }

  /// Writes a checkpoint: every rank writes its pieces, and rank 0 the manifest.
  ///
  /// - Parameter pieces: What this rank owns. The pieces of all ranks together hold every element of every parameter and
  ///   state once.
  /// - Throws: ``CheckpointError`` with `.occupied`, `.unwritable`, `.diskFull`, `.damaged` (the folder is not the same one
  ///   on every rank); what `exchange` throws.
  public func write<Element>(_ progress: CheckpointProgress, _ pieces: [CheckpointPiece<Element>]) throws {
    _ = try together { () throws(CheckpointError) in
      if rank == 0 { try folder.begin(step: progress.step, lock) }
      return ""
    }
    do { try fill(progress, pieces) } catch let error as CheckpointError {
      // All ranks have stopped writing, and what they have written takes up room.
      if rank == 0 { folder.removeInterrupted() }
      throw error
    }
  }

  private func fill<Element>(_ progress: CheckpointProgress, _ pieces: [CheckpointPiece<Element>]) throws {
    let temporary = CheckpointFolder.temporary(folder.path, step: progress.step)
    let shards = try together { () throws(CheckpointError) in
      try Shard.write(pieces, to: temporary, rank: rank, rankCount: rankCount, step: progress.step)
    }
    _ = try together { () throws(CheckpointError) in
      guard rank == 0 else { return "" }
      try checkSeen(shards, in: temporary)
      try folder.commit(
        CheckpointManifest(identity: identity, progress: progress, rankCount: rankCount, shards: shards))
      folder.prune(keep: keep)
      return ""
    }
  }

  /// The other ranks may write to a folder of the same name on another host.
  private func checkSeen(_ shards: [CheckpointManifest.Shard], in temporary: String) throws(CheckpointError) {
    for (rank, shard) in shards.enumerated() {
      let path = "\(temporary)/\(shard.file)"
      let found = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int
      if found == shard.bytes { continue }
      throw CheckpointError(
        .damaged, path, "was written by rank \(rank), but rank 0 does not see it. Name a folder that all hosts share.")
    }
  }

  // MARK: Agreement

  /// How a stage ended on one rank, as that rank tells the others.
  private struct Outcome<Value: Codable>: Codable {
    var value: Value?
    var code: CheckpointError.Code?
    var path = ""
    var message = ""
  }

  /// Runs `body` on every rank, and returns every rank's value, or throws one rank's error on all.
  private func together<Value: Codable>(_ body: () throws(CheckpointError) -> Value) throws -> [Value] {
    var own = Outcome<Value>()
    var failure: CheckpointError?
    do throws(CheckpointError) { own.value = try body() } catch {
      failure = error
      (own.code, own.path, own.message) = (error.code, error.path, error.message)
    }
    let answers: [[UInt8]]
    do { answers = try exchange(Array(JSONEncoder().encode(own))) } catch {
      // This rank's own failure says more than the failed exchange.
      throw failure ?? error
    }
    let outcomes = try answers.map { try JSONDecoder().decode(Outcome<Value>.self, from: Data($0)) }
    for (rank, outcome) in outcomes.enumerated() {
      guard let code = outcome.code else { continue }
      var error = CheckpointError(code, outcome.path, outcome.message)
      // An error that every rank found names no single rank.
      error.rank = outcomes.allSatisfy { $0.code == code } ? nil : rank
      throw error
    }
    return outcomes.compactMap(\.value)
  }
}
