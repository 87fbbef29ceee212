import Glibc
import TuttiChoice
import TuttiSystem

/// The profile that one rank would have the job take, from its options, its environment or its user's files.
package struct TuningOffer: Sendable {
  /// nil for the built-in profile.
  package var profile: TuningProfile?
  package var source = Tuning.Source.builtIn
  /// Whether somebody gave it to this rank, as opposed to a file that was found.
  var isExplicit = false
  package var isForced = false
  /// What to log about a file that was found but is not used.
  package var notice: String?

  /// The text that ranks compare: equal for profiles of equal content.
  var agreement: String { profile.map { "\"\($0.name.prefix(64))\" (\($0.hash))" } ?? "none" }

  /// Reads what this rank was given. Only rank 0 looks for the file at the default path, because its profile is everybody's.
  ///
  /// - Throws: `.configuration`: a file is no profile or cannot be read, or options and environment contradict each other.
  package static func read(
    _ environment: [String: String], _ option: JobTuning?, rank: Int
  ) throws(FailureReport) -> TuningOffer {
    var offer = TuningOffer()
    offer.isForced = try isForced(environment) || option?.isForced ?? false
    if let option {
      offer.isExplicit = true
      offer.profile = option.profile
      offer.source = option.profile == nil ? .builtIn : .options
    }
    guard let value = environment[variable], !value.isEmpty else {
      if option == nil, rank == 0, let path = defaultPath(environment) { try offer.take(path, mayBeMissing: true) }
      return offer
    }
    let given = offer
    offer = TuningOffer(isExplicit: true, isForced: given.isForced)
    if value != "none" { try offer.take(value, mayBeMissing: false) }
    if given.isExplicit, given.agreement != offer.agreement {
      throw FailureReport(
        .configuration,
        "\(variable)=\"\(value)\" is not the tuning profile that the program's own options have (\(given.agreement))",
        advice: "Unset the variable, or the option")
    }
    return offer
  }

  private mutating func take(_ path: String, mayBeMissing: Bool) throws(FailureReport) {
    do throws(FailureReport) { profile = try TuningProfile.readFile(path, isForced: isForced) } catch {
      // The message has the system's words already.
      if !mayBeMissing || error.systemError == 0 { throw error.with(systemError: 0) }
      // In most cases nobody has tuned anything, and there is no file.
      if ![ENOENT, ENOTDIR].contains(error.systemError) { notice = "\(error.message): no tuning profile is used" }
      return
    }
    if profile != nil {
      source = .file(path)
    } else {
      notice = "tuning profile \(path) \(TuningProfile.otherVersion): not used"
    }
  }

  static let variable = "TUTTI_TUNING"

  private static func isForced(_ environment: [String: String]) throws(FailureReport) -> Bool {
    switch environment["TUTTI_TUNING_FORCE"] {
    case nil, "", "0": return false
    case "1": return true
    case .some(let value):
      throw FailureReport(
        .configuration, "TUTTI_TUNING_FORCE=\"\(value)\" is neither 0 nor 1",
        advice: "Set it to 1 to use a tuning profile that is for other processors or ranks")
    }
  }

  /// Where a user's own profile is; nil where the environment names no home. As the XDG Base Directory Specification has it,
  /// a relative path counts for none.
  package static func defaultPath(_ environment: [String: String]) -> String? {
    if let folder = environment["XDG_CONFIG_HOME"], folder.hasPrefix("/") { return folder + "/tutti/tuning.yaml" }
    guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
    return home + "/.config/tutti/tuning.yaml"
  }
}
