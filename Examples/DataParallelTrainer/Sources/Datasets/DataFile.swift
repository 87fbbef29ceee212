// A file of data as it lies on disk: where it is, its bytes, and whether they are the committed ones.

import Digests
import Foundation

/// One of the files that come with the example, and what it must be. Sizes in bytes; the hash is SHA-256 in hexadecimal.
struct CommittedFile: Sendable {
  let name: String
  let byteCount: Int
  let sha256: String

  /// How to bring back a file that is gone. The build copies it beside the executable when no copy is there.
  static let restoring = "run `git restore Sources/Datasets/Data` in Examples/DataParallelTrainer and build again"

  /// Finds the file beside the executable, where SwiftPM puts resources; else in the checkout that it was built from.
  ///
  /// It does not use `Bundle.module`, which ends the process when the resources are gone.
  func locate() -> URL {
    let files = FileManager.default
    let besideExecutable = Bundle.main.bundleURL
    let bundles = ((try? files.contentsOfDirectory(atPath: besideExecutable.path)) ?? []).sorted()
    let folders = bundles.filter { $0.hasSuffix("_Datasets.resources") }.map {
      besideExecutable.appending(path: "\($0)/Data")
    }
    let checkout = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Data")
    return (folders + [checkout]).map { $0.appending(path: name) }.first { files.fileExists(atPath: $0.path) }
      ?? checkout.appending(path: name)
  }

  /// - Parameter parse: Called on damaged bytes too, to find the line that is wrong, which a hash cannot tell.
  /// - Throws: `.unreadable`; `.damaged` when size or hash differ.
  func load<Result>(at url: URL, parse: (DataFile) throws(DatasetError) -> Result) throws(DatasetError) -> Result {
    let file = try DataFile(
      url, expected: "\(name), which comes with the example",
      advice: CommittedFile.restoring)
    let hash = file.bytes.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    guard file.bytes.count != byteCount || hash != sha256 else { return try parse(file) }
    var place: String?
    do throws(DatasetError) { _ = try parse(file) } catch {
      if case .badLine(_, let line, let expected, let found) = error { place = "line \(line): \(found), not \(expected)" }
      if case .notUTF8(_, let offset) = error { place = "offset \(offset): not text" }
    }
    throw .damaged(
      path: file.path, expected: "\(byteCount) bytes with SHA-256 \(sha256)",
      found: "\(file.bytes.count) bytes with SHA-256 \(hash)", place: place)
  }
}

/// The bytes of a file, and the path to name in errors.
struct DataFile {
  let path: String
  let bytes: Data

  /// - Throws: `.unreadable`, with the system's reason.
  init(_ url: URL, expected: String, advice: String) throws(DatasetError) {
    path = url.path
    do { bytes = try Data(contentsOf: url) } catch {
      let reason =
        FileManager.default.fileExists(atPath: url.path)
        ? "cannot be read (\(error.localizedDescription))" : "no such file"
      throw .unreadable(path: url.path, expected: expected, reason: reason, advice: advice)
    }
  }

  /// Finds what `--data` names: a file itself, or a folder in which exactly one file is meant.
  ///
  /// - Parameter candidates: Of the names in the folder, those that may be meant.
  /// - Throws: `.unreadable` when nothing, or more than one file, is meant.
  static func find(
    in url: URL, expected: String, candidates: ([String]) -> [String]
  ) throws(DatasetError) -> URL {
    var isFolder: ObjCBool = false
    let advice = "name the file itself, or a folder that has it, with --data"
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw .unreadable(path: url.path, expected: expected, reason: "no such file or folder", advice: advice)
    }
    if !isFolder.boolValue { return url }
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() } catch {
      throw .unreadable(
        path: url.path, expected: expected, reason: "cannot be read (\(error.localizedDescription))", advice: advice)
    }
    let found = candidates(names)
    guard found.count == 1 else {
      let reason = found.isEmpty ? "no such file in this folder" : "more than one: \(found.joined(separator: ", "))"
      throw .unreadable(path: url.path, expected: expected, reason: reason, advice: advice)
    }
    return url.appending(path: found[0])
  }
}
