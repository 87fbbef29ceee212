import TuttiSchedule
import TuttiTopology

/// What is known of costs on some machines: terms by which times are predicted, and times that were measured.
///
/// All ranks of a job have the same profile, rank 0's, so that all choose alike. It changes which algorithm runs, never
/// what results may depend on: tables have the times of all algorithms, and the choice considers only those that fold as
/// the job's results do.
package struct TuningProfile: Hashable, Sendable {
  /// What people call it; one line.
  package var name: String
  /// The processors that it is for; nil for any.
  package var family: ProcessorFamily?
  /// What was measured, and on what, in one line; nil where nothing was.
  package var measured: String?
  /// Where they differ from the library's own.
  package var terms: [Medium: MediumTerms]
  /// At most one for a shape and collective; those of one shape follow one another.
  package private(set) var tables: [TuningTable] = []

  package init(
    name: String, family: ProcessorFamily? = nil, measured: String? = nil, terms: [Medium: MediumTerms] = [:],
    tables: [TuningTable] = []
  ) {
    self.name = name
    self.family = family
    self.measured = measured
    self.terms = terms
    for table in tables { add(table) }
  }

  /// The version of the format of files.
  package static let version = 1

  /// 32 hexadecimal digits, equal for profiles of equal content.
  package var hash: String {
    var hash = ContentHash()
    hash.combine(text)
    return hash.text
  }

  /// What rounds, messages and bytes cost on a medium.
  func terms(of medium: Medium) -> MediumTerms { terms[medium] ?? MediumTerms.terms(of: medium) }

  /// What a message to another host, or inside one, costs the processors of a host.
  func hostMessage(_ medium: Medium) -> Double {
    medium == .network ? MediumTerms.networkHostMessage : terms(of: medium).anyMessage
  }

  /// The shapes of its tables, each once, in the order of the tables.
  package var shapes: [JobShape] {
    var known: Set<JobShape> = []
    return tables.map(\.shape).filter { known.insert($0).inserted }
  }

  /// The table of a shape for a collective; nil where it has none.
  package func table(_ shape: JobShape, _ collective: Collective) -> TuningTable? {
    tables.first { $0.shape == shape && $0.collective == collective }
  }

  /// Takes in what was measured, in place of what it has of the same shape and collective.
  package mutating func add(_ table: TuningTable) {
    if let index = tables.firstIndex(where: { $0.shape == table.shape && $0.collective == table.collective }) {
      tables[index] = table
    } else {
      let last = tables.lastIndex { $0.shape == table.shape }
      tables.insert(table, at: last.map { $0 + 1 } ?? tables.count)
    }
  }

  /// `four ranks (measured: ...)`, for people.
  package var summary: String { "\(name) (\(measured.map { "measured: \($0)" } ?? "not measured"))" }
}

extension TuningProfile {
  /// What the library knows by itself of a family of processors. One that nobody has measured takes the terms of the generic
  /// profile, and says so.
  package static func builtIn(_ family: ProcessorFamily) -> TuningProfile {
    let name = "built-in \(family.rawValue)"
    switch family {
    case .amdZen4:
      return TuningProfile(
        name: name, family: family,
        measured: "shared memory and loopback at 2, 3, 4 and 8 ranks on 2 cores of an AMD EPYC with Zen 5")
    case .generic:
      return TuningProfile(name: name)
    case .amdZen1, .amdZen3, .intelXeon, .intelSapphireRapids, .armNeoverseN1, .armNeoverseV1, .armNeoverseV2:
      return TuningProfile(name: name, family: family)
    }
  }

  /// The profile for processors of no known family: its terms are those that were fitted on Zen 5.
  package static let generic = builtIn(.generic)
}
