import Foundation
import Testing

@testable import Checkpoints

/// Two runs do not write to one folder, and a folder that cannot be read is not taken for an empty one.
@Suite struct LockTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path }

  init() throws { folder = try TemporaryFolder() }

  private func store(_ exchange: @escaping CheckpointStore.Exchange = { [$0] }) -> CheckpointStore {
    CheckpointStore(
      folder: path, identity: TestModel<Float>(isFilled: false).identity, keep: 1, rank: 0, rankCount: 1,
      exchange: exchange)
  }

  @Test func secondRun() throws {
    var first: CheckpointStore? = store()
    try first?.prepare(lastStep: 0)
    // What the first run is writing now.
    let partial = "\(path)/step-00000100.partial"
    try FileManager.default.createDirectory(atPath: partial, withIntermediateDirectories: false)
    let path = path
    for error in [
      checkpointError { try store().prepare(lastStep: 0) }, checkpointError { try write(step: 50, to: path) },
    ] {
      #expect(error?.code == .occupied)
      #expect(error?.path == path)
      #expect(error?.message.contains("another run writes checkpoints to it now") == true)
    }
    #expect(folder.names == ["step-00000100.partial"], "the other run's is as it was")
    // A copy holds the lock as well.
    var copy = first
    first = nil
    #expect(checkpointError { try store().prepare(lastStep: 0) }?.code == .occupied)
    try copy?.prepare(lastStep: 0)
    copy = nil
    try store().prepare(lastStep: 0)
    try write(step: 100, to: path)
    #expect(folder.names == ["step-00000100"])
  }

  /// The lock of a process goes with it, however it ends.
  @Test func lockOfAnotherProcess() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/flock")
    process.arguments = ["--no-fork", "\(path)/.lock", "sleep", "600"]
    try process.run()
    // Soon, but on a machine that is busy with something else.
    let limit = ContinuousClock.now + .seconds(300)
    var error: CheckpointError?
    while error == nil && ContinuousClock.now < limit {
      usleep(10_000)
      error = checkpointError { try store().prepare(lastStep: 0) }
    }
    #expect(error?.code == .occupied)
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    try store().prepare(lastStep: 0)
  }

  @Test func descriptorIsClosedOnExec() throws {
    let held = store()
    try held.prepare(lastStep: 0)
    let lock = URL(filePath: "\(path)/.lock").resolvingSymlinksInPath().path
    let own = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == lock
    }
    #expect(own.count == 1)
    for name in own { #expect(fcntl(Int32(name) ?? -1, F_GETFD) & FD_CLOEXEC != 0) }
    withExtendedLifetime(held) {}
  }

  /// It is no checkpoint, and nothing that stands in the way of one.
  @Test func lockFileIsNoCheckpoint() throws {
    try "".write(toFile: "\(path)/.lock", atomically: true, encoding: .utf8)
    #expect(checkpointError { _ = try CheckpointFolder(path: path).latest() }?.code == .noCheckpoint)
    try store().prepare(lastStep: 0)
    try write(step: 100, to: path, keep: 1)
    try write(step: 200, to: path, keep: 1)
    #expect(folder.names == ["step-00000200"])
    #expect(FileManager.default.fileExists(atPath: "\(path)/.lock"))
  }

  @Test(arguments: [ENOLCK, EOPNOTSUPP, ENOSYS]) func noLocks(code: Int32) {
    let error = FolderLock.failure(path, code)
    #expect(error.code == .unwritable && error.path == path)
    #expect(error.message.contains("cannot lock files (\(String(cString: strerror(code))))"))
  }

  // MARK: Folders that cannot be read

  /// Even root cannot read through a file, or a link to itself.
  @Test func unreadableFolder() throws {
    try "file".write(toFile: "\(path)/file", atomically: true, encoding: .utf8)
    try FileManager.default.createSymbolicLink(atPath: "\(path)/loop", withDestinationPath: "loop")
    for (name, says) in [("file", "Not a directory"), ("file/below", "Not a directory"), ("loop", "Too many levels")] {
      let error = checkpointError { _ = try CheckpointFolder(path: "\(path)/\(name)").latest() }
      #expect(error?.code == .unreadable)
      #expect(error?.description.hasPrefix("\(path)/\(name): cannot be read: \(says)") == true)
    }
  }

  @Test func unreadableCheckpoint() throws {
    try write(step: 100, to: path)
    try FileManager.default.createSymbolicLink(atPath: "\(path)/step-00000200", withDestinationPath: "step-00000200")
    for error in [
      checkpointError { _ = try CheckpointFolder(path: path).latest() },
      checkpointError { try store().prepare(lastStep: 100) },
      checkpointError { _ = try Checkpoint(folder: "\(path)/step-00000200") },
    ] {
      #expect(error?.code == .unreadable)
      #expect(error?.message.contains("Too many levels") == true)
    }
  }
}
