import Foundation

/// Why a checkpoint could not be written or read: which file, what is wrong with it, and what to do.
public struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kinds of error.
  public enum Code: String, Sendable, Codable {
    /// The folder has no checkpoint at all.
    case noCheckpoint
    /// There is one, but its writing was interrupted: it has no manifest.
    case interrupted
    /// A file is missing, shorter, or has other bytes than were written, or the manifest is not of this folder.
    case damaged
    /// The checkpoint is of another model, element type or optimizer.
    case foreignModel
    /// A later version of this program wrote it.
    case newerFormat
    /// The folder already has what would be written, or another run writes to it now.
    case occupied
    /// A file or folder that is there cannot be read.
    case unreadable
    /// A file or folder cannot be made or written.
    case unwritable
    /// The file system is full, or the quota is used up.
    case diskFull
  }

  public let code: Code
  /// The file or folder at fault.
  public let path: String
  /// What is wrong, and what can be done, in sentences.
  public let message: String
  /// The rank that failed; nil where every rank failed alike, or this rank has not told the others.
  public var rank: Int?

  public init(_ code: Code, _ path: String, _ message: String) {
    self.code = code
    self.path = path
    self.message = message
  }

  public var description: String { (rank.map { "rank \($0): " } ?? "") + "\(path): \(message)" }

  /// The error for a system call that failed to read an existing file or folder.
  ///
  /// - Parameter code: The `errno` that it left.
  static func reading(_ path: String, _ code: Int32 = errno) -> CheckpointError {
    CheckpointError(
      .unreadable, path,
      "cannot be read: \(String(cString: strerror(code))). Give this user access to it, or name another folder.")
  }

  /// The error for a system call that failed to write a file.
  ///
  /// - Parameter code: The `errno` that it left.
  static func writing(_ path: String, _ code: Int32 = errno) -> CheckpointError {
    let text = String(cString: strerror(code))
    switch code {
    case ENOSPC, EDQUOT, EFBIG:
      return CheckpointError(
        .diskFull, path,
        "there is no room for the checkpoint (\(text)). Older checkpoints are as they were. Free some space.")
    default:
      return CheckpointError(
        .unwritable, path, "cannot be written: \(text). Give a folder that this user can write and all hosts share.")
    }
  }
}

/// The `errno` below an error of Foundation; `EACCES` where it has none.
func errorNumber(_ error: any Error) -> Int32 {
  var cause: (any Error)? = error
  while let next = cause as NSError? {
    if next.domain == NSPOSIXErrorDomain { return Int32(next.code) }
    cause = next.userInfo[NSUnderlyingErrorKey] as? any Error
  }
  return EACCES
}
