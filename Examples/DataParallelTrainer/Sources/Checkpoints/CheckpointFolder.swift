import Foundation

/// The folder of a run: checkpoints `step-00001200`, and `step-00001200.partial` while one is being written or removed.
///
/// Invariant: a folder without `.partial` is whole, because it gets its name last and loses it first. Nothing else in the
/// folder is touched.
public struct CheckpointFolder: Sendable {
  public let path: String
  private static let partialEnding = ".partial"

  public init(path: String) { self.path = path }

  public static func name(step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  /// Steps of the checkpoints that have their final name, ascending.
  public var steps: [Int] { names.compactMap(Self.step).sorted() }

  /// Folders that an interrupted write or removal left behind.
  public var interrupted: [String] {
    names.filter { name in
      if name.hasSuffix(Self.partialEnding) { return Self.step(String(name.dropLast(Self.partialEnding.count))) != nil }
      return Self.step(name) != nil && !hasManifest(name)
    }
  }

  /// Whether this is the folder of one checkpoint, rather than of a run's.
  public var isOne: Bool { FileManager.default.fileExists(atPath: "\(path)/\(CheckpointManifest.fileName)") }

  /// The newest checkpoint that is whole.
  ///
  /// - Throws: ``CheckpointError`` with `.noCheckpoint`, `.interrupted`, `.newerFormat` or `.damaged`.
  public func latest() throws(CheckpointError) -> Checkpoint {
    guard let step = steps.last(where: { hasManifest(Self.name(step: $0)) }) else {
      if let name = interrupted.max() {
        throw CheckpointError(
          .interrupted, "\(path)/\(name)",
          "was interrupted while it was written, and there is no older one. Start without --resume.")
      }
      throw CheckpointError(
        .noCheckpoint, path, "has no checkpoint to go on from. Start without --resume, or name another folder.")
    }
    return try Checkpoint(folder: "\(path)/\(Self.name(step: step))")
  }

  // MARK: For the writer, on rank 0

  /// Makes the folder where it is not there, and refuses one with checkpoints of something else.
  ///
  /// - Parameter lastStep: The step this run starts after: nothing newer may be there, which it would mix with.
  func prepare(for identity: CheckpointIdentity, lastStep: Int) throws(CheckpointError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch { throw .writing(path, errorNumber(error)) }
    guard access(path, W_OK | X_OK) == 0 else { throw .writing(path) }
    guard let newest = steps.last else { return }
    if hasManifest(Self.name(step: newest)) {
      let found = try CheckpointManifest.read(folder: "\(path)/\(Self.name(step: newest))").identity
      if let difference = found.difference(from: identity) {
        throw CheckpointError(
          .foreignModel, path, "has checkpoints of another model: \(difference). Nothing was written; name another folder.")
      }
    }
    if newest > lastStep {
      throw CheckpointError(
        .occupied, path,
        "has checkpoints up to step \(newest) already. Go on from them with --resume, or name another folder.")
    }
  }

  /// Makes the temporary folder of a step, empty.
  func begin(step: Int) throws(CheckpointError) {
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

  /// Removes what an interrupted write or removal left, as no write is under way when this is called.
  func removeInterrupted() {
    for name in names where name.hasSuffix(Self.partialEnding) && interrupted.contains(name) {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
  }

  // MARK: Names

  private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

  private func hasManifest(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/\(name)/\(CheckpointManifest.fileName)")
  }

  private static func step(_ name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, Self.name(step: step) == name else {
      return nil
    }
    return step
  }

  /// The `errno` below an error of Foundation.
  private func errorNumber(_ error: any Error) -> Int32 {
    var cause: (any Error)? = error
    while let next = cause as NSError? {
      if next.domain == NSPOSIXErrorDomain { return Int32(next.code) }
      cause = next.userInfo[NSUnderlyingErrorKey] as? any Error
    }
    return EACCES
  }
}
