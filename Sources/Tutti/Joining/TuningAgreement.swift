import TuttiChoice
import TuttiSystem
import TuttiTopology

/// Settles which tuning profile the ranks of a job take, from what all of them said of their processors and profiles when
/// they joined: so all settle on the same one.
struct TuningAgreement: Sendable {
  /// Rank 0's profile; nil for the built-in one.
  let profile: TuningProfile?
  let source: Tuning.Source
  let isForced: Bool
  let families: Set<ProcessorFamily>

  /// What one rank says. It travels in the rank's member record.
  private struct Word {
    var family: ProcessorFamily
    var isExplicit: Bool
    var isForced: Bool
    var agreement: String
    var source: String
    /// Rank 0's profile, as the text of a file; empty for none, and from other ranks.
    var text: [UInt8]
  }

  private static let textBytesMax = 4096

  /// Encodes what this rank says, as its member record carries it.
  static func bytes(_ offer: TuningOffer, rank: Int, family: ProcessorFamily = .current()) -> [UInt8] {
    var encoder = WireEncoder()
    encoder.put(family.rawValue, bytesMax: textBytesMax)
    encoder.put(UInt8(offer.isExplicit ? 1 : 0))
    encoder.put(UInt8(offer.isForced ? 1 : 0))
    encoder.put(offer.agreement, bytesMax: textBytesMax)
    encoder.put(offer.source.text, bytesMax: textBytesMax)
    if rank == 0, let profile = offer.profile { encoder.put(raw: profile.text.utf8) }
    return encoder.bytes
  }

  /// - Parameter words: What every rank's record carried, by rank.
  /// - Throws: `.configuration` where a rank was given a profile that is not rank 0's; `.version` for bytes that no rank of
  ///   this version sends. The same on all ranks.
  init(_ words: [[UInt8]]) throws(FailureReport) {
    var read: [Word] = []
    for (rank, bytes) in words.enumerated() { read.append(try Self.read(bytes, rank)) }
    let leader = read[0]
    let others = read.indices.filter { read[$0].isExplicit && read[$0].agreement != leader.agreement }
    if let first = others.first {
      let verb = others.count == 1 ? "was" : "were"
      throw FailureReport(
        .configuration, rank: 0, peer: others.count == 1 ? first : -1,
        "\(rankListText(others)) \(verb) given the tuning profile \(read[first].agreement), and rank 0 takes \(leader.agreement)",
        advice: "Give all ranks the same file in \(TuningOffer.variable), or rank 0 alone: its profile is sent to all")
    }
    families = Set(read.map(\.family))
    isForced = leader.isForced
    guard !leader.text.isEmpty else {
      (profile, source) = (nil, .builtIn)
      return
    }
    do throws(FailureReport) { profile = try TuningProfile.parse(leader.text, "rank 0's tuning profile") } catch {
      throw Self.unreadable(0)
    }
    source = leader.source == Tuning.Source.options.text ? .options : .file(leader.source)
  }

  private static func read(_ bytes: [UInt8], _ rank: Int) throws(FailureReport) -> Word {
    var decoder = WireDecoder(bytes)
    do throws(MalformedMessage) {
      let family = try decoder.takeText(bytesMax: textBytesMax, "processor family")
      return Word(
        // A family that this build does not know counts as generic.
        family: ProcessorFamily(rawValue: family) ?? .generic, isExplicit: try decoder.take(UInt8.self, "flag") != 0,
        isForced: try decoder.take(UInt8.self, "flag") != 0,
        agreement: try decoder.takeText(bytesMax: textBytesMax, "tuning profile"),
        source: try decoder.takeText(bytesMax: textBytesMax, "tuning source"),
        text: try decoder.take(raw: decoder.remaining, "tuning profile"))
    } catch { throw unreadable(rank) }
  }

  private static func unreadable(_ rank: Int) -> FailureReport {
    FailureReport(
      .version, rank: 0, peer: rank, "what rank \(rank) says of its tuning profile cannot be read",
      advice: "Run the same build on all ranks")
  }

  /// Returns the tuning that ranks of this shape take, and a notice that says why where it is not the one they were given.
  func tuning(for shape: JobShape) -> (tuning: Tuning, notice: String?) {
    guard let profile else { return (Tuning(builtInFor: families), nil) }
    return Tuning.fitting(profile, source, isForced: isForced, families: families, shape: shape)
  }
}
