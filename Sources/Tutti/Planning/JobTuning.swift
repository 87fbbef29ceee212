import TuttiChoice
import TuttiSystem
import TuttiTopology
import TuttiTopologyFiles

/// A tuning profile: measurements of a job's machines, by which `auto` chooses.
///
/// `collbench tune` measures one, and `docs/TUNING.md` says what a file may have. Rank 0's is sent to all ranks. It changes
/// which algorithm runs, and never what results may depend on.
public struct JobTuning: Sendable, CustomStringConvertible {
  /// nil for the built-in profile.
  package let profile: TuningProfile?

  /// Whether to use the profile even where it is for other processors or other numbers of ranks; the times of the ranks most
  /// like the job's then count. Otherwise such a profile is not used, and a warning says why.
  public var isForced = false

  private init(_ profile: TuningProfile?) { self.profile = profile }

  /// The profile that is built into the library, whatever files there are.
  public static let builtIn = JobTuning(nil)

  /// Reads a profile from a file, in YAML or JSON.
  ///
  /// - Parameter path: The file, of at most 1 MiB.
  /// - Throws: ``TuttiError`` with `.configuration`, naming the file, the line and the field; also for a file of another
  ///   version.
  public init(contentsOf path: String) throws(TuttiError) {
    do throws(FailureReport) { self.init(try Self.known(try TuningProfile.readFile(path), path)) } catch {
      // The message has the system's words already.
      throw TuttiError(error.with(systemError: 0))
    }
  }

  /// Reads a profile from text, in YAML or JSON.
  ///
  /// - Parameters:
  ///   - text: What a file would have.
  ///   - name: What errors call it.
  /// - Throws: ``TuttiError`` with `.configuration`, naming the line and the field; also for text of another version.
  public init(text: String, name: String = "tuning profile") throws(TuttiError) {
    do throws(FailureReport) { self.init(try Self.known(try TuningProfile.parse(Array(text.utf8), name), name)) } catch {
      throw TuttiError(error)
    }
  }

  private static func known(_ profile: TuningProfile?, _ file: String) throws(FailureReport) -> TuningProfile {
    if let profile { return profile }
    throw TuningProfile.failure("\(file): the tuning profile \(TuningProfile.otherVersion)")
  }

  /// The name that the profile gives itself.
  public var name: String { profile?.name ?? "built-in" }
  /// 32 hexadecimal digits, equal for profiles of equal content; empty for what is built in.
  public var hash: String { profile?.hash ?? "" }
  /// `four ranks (measured: ...)`.
  public var description: String { profile?.summary ?? name }
}

extension TuningProfile {
  static let otherVersion = "is of another version of the format than \(TuningProfile.version)"

  /// Reads the profile of a file; nil where it is of another version.
  ///
  /// - Parameter isForced: Whether to read one of another version all the same.
  /// - Throws: `.configuration`, with the file's name first, so that editors can jump there; `systemError` says why it
  ///   cannot be read.
  package static func readFile(_ path: String, isForced: Bool = false) throws(FailureReport) -> TuningProfile? {
    let bytes: [UInt8]
    do throws(FailureReport) { bytes = try TuttiSystem.readFile(path, bytesMax: DescriptionNode.fileBytesMax + 1) } catch {
      throw failure("\(path): \(errorText(error.systemError))").with(systemError: error.systemError)
    }
    return try parse(bytes, path, isForced: isForced)
  }

  static func parse(_ bytes: [UInt8], _ file: String, isForced: Bool = false) throws(FailureReport) -> TuningProfile? {
    let profile: TuningProfile?
    do throws(DescriptionError) {
      profile = try read(try DescriptionNode(file: file, bytes: bytes, kind: .tuning), file: file, isForced: isForced)
    } catch { throw failure(error.description) }
    // A profile travels as text that is written anew, which may be longer than the text that was read.
    guard profile?.text.utf8.count ?? 0 <= DescriptionNode.fileBytesMax else {
      throw failure("\(file): has more times than fit into a file of \(DescriptionNode.fileBytesMax) bytes")
    }
    return profile
  }

  static func failure(_ message: String) -> FailureReport {
    FailureReport(
      .configuration, message,
      advice: "See docs/TUNING.md; collbench tune writes a profile, and TUTTI_TUNING=none does without")
  }
}
