import TuttiSchedule
import TuttiTopology

/// The profile that a job takes, and where it is from. Equal on all ranks.
package struct Tuning: Sendable {
  /// Where a profile comes from.
  package enum Source: Hashable, Sendable {
    case builtIn
    /// The options of the program.
    case options
    /// The file of this name, on rank 0's host.
    case file(String)

    package var text: String {
      switch self {
      case .builtIn: "built in"
      case .options: "options"
      case .file(let path): path
      }
    }
  }

  package let profile: TuningProfile
  package let source: Source
  /// Whether it is used for whatever processors and ranks there are.
  package let isForced: Bool
  /// The families of all ranks' processors.
  package let families: Set<ProcessorFamily>

  private init(_ profile: TuningProfile, _ source: Source, isForced: Bool, _ families: Set<ProcessorFamily>) {
    self.families = families
    self.profile = profile
    self.source = source
    self.isForced = isForced
  }

  /// What the library knows by itself, of processors that are all of one family or not.
  package init(builtInFor families: Set<ProcessorFamily>) {
    let family = families.count == 1 ? families.first : nil
    self.init(.builtIn(family ?? .generic), .builtIn, isForced: false, families)
  }

  /// A profile that somebody gave for a job, where it fits the job or is forced on it; otherwise what the library knows by
  /// itself. `notice` then says why, and is nil where everything fits.
  package static func fitting(
    _ profile: TuningProfile, _ source: Source, isForced: Bool, families: Set<ProcessorFamily>, shape: JobShape
  ) -> (tuning: Tuning, notice: String?) {
    let used = Tuning(profile, source, isForced: isForced, families)
    let name = "tuning profile \(profile.name) (\(source.text))"
    var problem: String?
    if let family = profile.family, families != [family] {
      let here = families.map(\.title).sorted().joined(separator: " and ")
      problem = "is for \(family.title), and the ranks run on \(here)"
    } else if shape.ranks > 1, !profile.tables.isEmpty, !profile.tables.contains(where: { $0.shape == shape }) {
      let measured = profile.shapes.prefix(3).map(\.text).joined(separator: "; ") + (profile.shapes.count > 3 ? "; ..." : "")
      problem = "was measured on \(measured), and these are \(shape.text)"
    }
    guard let problem else { return (used, nil) }
    if isForced { return (used, "\(name) \(problem): used all the same, as was asked for") }
    return (
      Tuning(builtInFor: families),
      "\(name) \(problem): not used. 'collbench tune' measures this job, and TUTTI_TUNING_FORCE=1 uses what is there"
    )
  }

  /// What was measured of a collective on ranks of this shape, or, where the profile is forced, on those most like them.
  func table(_ shape: JobShape, _ collective: Collective) -> TuningTable? {
    if let table = profile.table(shape, collective) { return table }
    guard isForced else { return nil }
    return profile.tables.filter { $0.collective == collective }
      .min { $0.shape.distance(to: shape) < $1.shape.distance(to: shape) }
  }
}
