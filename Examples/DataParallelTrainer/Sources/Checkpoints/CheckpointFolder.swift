import Foundation

/// The folder of a run: checkpoints `step-00001200`, and `step-00001200.partial` while one is being written or removed.
/// `.lock` is there once a run has written to it (``FolderLock``).
///
/// Invariant: a folder without `.partial` is whole, because it gets its name last and loses it first; one without a manifest
/// was not made here, but is half of a copy. Nothing else in the folder is touched.
public struct CheckpointFolder: Sendable {
  public let path: String
  private static let partialEnding = ".partial"

  public init(path: String) { self.path = path }

  public static func name(step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  /// Steps of the checkpoints that have their final name, ascending; none where the folder cannot be read.
  public var steps: [Int] { (try? listSteps()) ?? [] }

  /// Lists the steps of the checkpoints, ascending.
  ///
  /// - Throws: ``CheckpointError`` with `.unreadable`.
  private func listSteps() throws(CheckpointError) -> [Int] { try names().compactMap(Self.step).sorted() }

  /// Folders that an interrupted write or removal left behind.
  private func partials() throws(CheckpointError) -> [String] {
    try names().filter { name in
      name.hasSuffix(Self.partialEnding) && Self.step(String(name.dropLast(Self.partialEnding.count))) != nil
    }
  }

  /// Whether this is the folder of one checkpoint, rather than of all checkpoints of a run.
  public var isOne: Bool { FileManager.default.fileExists(atPath: "\(path)/\(CheckpointManifest.fileName)") }

  /// Returns the newest checkpoint that is whole.
  ///
  /// - Throws: ``CheckpointError`` with `.noCheckpoint`, `.interrupted`, `.unreadable`, `.newerFormat` or `.damaged`.
  public func latest() throws(CheckpointError) -> Checkpoint {
    let steps = try listSteps()
    for step in steps.reversed() where try hasManifest(step: step) {
      return try Checkpoint(folder: "\(path)/\(Self.name(step: step))")
    }
    if let step = steps.last { throw withoutManifest(step: step) }
    if let name = try partials().max() {
      throw CheckpointError(
        .interrupted, "\(path)/\(name)",
        "was interrupted while it was written, and there is no older one. Train anew, or name another folder.")
    }
    throw CheckpointError(
      .noCheckpoint, path, "has no checkpoint to go on from. Train anew, or name a folder that has one.")
  }

  /// What is wrong with a checkpoint that has its final name and no manifest.
  private func withoutManifest(step: Int) -> CheckpointError {
    CheckpointError(
      .interrupted, "\(path)/\(Self.name(step: step))",
      "has no \(CheckpointManifest.fileName), so it is not whole: its copying or removal was interrupted. "
        + "Remove this folder.")
  }

  // MARK: For the writer, on rank 0

  /// Makes the folder where it is not there, and refuses one with checkpoints of something else.
  ///
  /// - Parameters:
  ///   - lastStep: The step this run starts after: nothing newer may be there, which it would mix with.
  ///   - lock: Taken before anything is looked at. The caller holds it while this run writes.
  func prepare(for identity: CheckpointIdentity, lastStep: Int, _ lock: FolderLock) throws(CheckpointError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch { throw .writing(path, errorNumber(error)) }
    guard access(path, W_OK | X_OK) == 0 else { throw .writing(path) }
    try lock.take(in: path)
    guard let newest = try listSteps().last else { return }
    guard try hasManifest(step: newest) else { throw withoutManifest(step: newest) }
    let found = try CheckpointManifest.read(folder: "\(path)/\(Self.name(step: newest))").identity
    if let difference = found.difference(from: identity) {
      throw CheckpointError(
        .foreignModel, path, "has checkpoints of another model: \(difference). Nothing was written; name another folder.")
    }
    if newest > lastStep {
      throw CheckpointError(
        .occupied, path,
        "has checkpoints up to step \(newest) already. Go on from them with --resume, or name another folder.")
    }
  }

  /// Makes the temporary folder of a step, empty.
  ///
  /// - Parameter lock: As in `prepare`; it is taken where it is not held yet.
  func begin(step: Int, _ lock: FolderLock) throws(CheckpointError) {
    try lock.take(in: path)
    let name = Self.name(step: step)
    guard !FileManager.default.fileExists(atPath: "\(path)/\(name)") else {
      throw CheckpointError(.occupied, "\(path)/\(name)", "is there already, and is not overwritten. Name another folder.")
    }
    removeInterrupted()
    let temporary = Self.temporary(path, step: step)
    guard mkdir(temporary, 0o777) == 0 else { throw .writing(temporary) }
  }

  static func temporary(_ path: String, step: Int) -> String { "\(path)/\(name(step: step))\(partialEnding)" }

  /// Writes the manifest and gives the checkpoint its final name.
  func commit(_ manifest: CheckpointManifest) throws(CheckpointError) {
    let temporary = Self.temporary(path, step: manifest.progress.step)
    let file = "\(temporary)/\(CheckpointManifest.fileName)"
    let data: Data
    do { data = try manifest.encoded() } catch {
      throw CheckpointError(.unwritable, file, "the manifest cannot be written as JSON: \(error)")
    }
    var writing = try DurableFile(creating: file)
    try data.withUnsafeBytes { bytes in Result { () throws(CheckpointError) in try writing.write(bytes) } }.get()
    _ = try writing.finish()
    try synchronizeFolder(temporary)
    let final = "\(path)/\(Self.name(step: manifest.progress.step))"
    guard rename(temporary, final) == 0 else { throw .writing(final) }
    try synchronizeFolder(path)
  }

  /// Removes all but the newest `keep` checkpoints. One that cannot be removed is left for the next time.
  func prune(keep: Int) {
    for step in steps.dropLast(keep) {
      // It stops being a checkpoint before it stops being whole.
      let temporary = Self.temporary(path, step: step)
      guard rename("\(path)/\(Self.name(step: step))", temporary) == 0 else { continue }
      try? FileManager.default.removeItem(atPath: temporary)
    }
  }

  /// Removes what an interrupted write or removal left, as no write is under way when this is called: the caller holds the
  /// folder's lock. What cannot be removed is left for the next time.
  func removeInterrupted() {
    for name in (try? partials()) ?? [] { try? FileManager.default.removeItem(atPath: "\(path)/\(name)") }
  }

  // MARK: Names

  /// The names in the folder; none where there is no such folder. A folder that cannot be read is an error.
  private func names() throws(CheckpointError) -> [String] {
    // Foundation's errors do not always have the number.
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return [] }
      throw .reading(path)
    }
    close(descriptor)
    do { return try FileManager.default.contentsOfDirectory(atPath: path) } catch {
      throw .reading(path, errorNumber(error))
    }
  }

  private func hasManifest(step: Int) throws(CheckpointError) -> Bool {
    let folder = "\(path)/\(Self.name(step: step))"
    var status = stat()
    if stat("\(folder)/\(CheckpointManifest.fileName)", &status) == 0 { return true }
    // ENOTDIR: a file that has the name of a checkpoint.
    guard errno == ENOENT || errno == ENOTDIR else { throw .reading(folder) }
    return false
  }

  /// The step of a folder's name; nil where it is not the name of a checkpoint.
  static func step(_ name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, Self.name(step: step) == name else {
      return nil
    }
    return step
  }
}
