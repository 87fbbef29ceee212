import Glibc
import Tutti
import TuttiChoice
import TuttiLaunch
import TuttiSystem
import TuttiTopology

/// The file that gets what was measured, and what it has already.
struct TuningTarget {
  let path: String
  private let known: TuningProfile?
  /// That of all ranks; nil where they differ.
  private let family: ProcessorFamily?
  private let file: OutputFile

  /// - Parameters:
  ///   - output: nil for the path where jobs look.
  ///   - families: Those of all ranks.
  /// - Throws: ``CommandFailure`` where nothing could be written there, so that nobody measures in vain: also where the file
  ///   has something else in it, or is for other processors.
  init(_ output: String?, families: Set<ProcessorFamily>) throws(CommandFailure) {
    if let output {
      path = output
    } else {
      guard let path = TuningOffer.defaultPath(currentEnvironment()) else {
        throw CommandFailure("neither XDG_CONFIG_HOME nor HOME says where the profile should be: give --output FILE")
      }
      self.path = path
      try Self.makeFolders(of: path)
    }
    file = try OutputFile(path: path)
    known = try Self.read(path)
    family = families.count == 1 ? families.first : nil
    guard let known, known.family != family else { return }
    let theirs = known.family.map { "is for \($0.title)" } ?? "does not say which processors it is for"
    throw CommandFailure(
      "\(path) \(theirs), and the ranks run on \(families.map(\.title).sorted().joined(separator: " and ")): "
        + "move it away, or give another --output")
  }

  /// What the file has; nil where it is not there, and for a pipe or a device, which have nothing in them that should stay.
  private static func read(_ path: String) throws(CommandFailure) -> TuningProfile? {
    guard isRegular(path) else { return nil }
    do throws(FailureReport) {
      if let profile = try TuningProfile.readFile(path) { return profile }
    } catch { throw CommandFailure(error.message) }
    throw CommandFailure(
      "\(path) is a tuning profile of another version of the format: move it away, or give another --output")
  }

  private static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  private static func makeFolders(of path: String) throws(CommandFailure) {
    var folder = ""
    for part in path.split(separator: "/").dropLast() {
      folder += "/" + part
      guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
        throw CommandFailure("cannot make the folder '\(folder)' for the profile: \(systemErrorText()). Give --output FILE.")
      }
    }
  }

  /// Writes what the file has, with these tables in place of those of the same shape and collective.
  func write(_ tables: [TuningTable], rounds: Int) throws(CommandFailure) -> TuningProfile {
    let system = SystemFacts.current()
    var profile = known ?? TuningProfile(name: system.host, family: family)
    profile.measured =
      "collbench tune \(toolVersion): \(rounds) round\(rounds == 1 ? "" : "s") on \(system.cpu), \(system.kernel)"
    for table in tables { profile.add(table) }
    try file.write(profile.text)
    return profile
  }
}
