import TuttiBootstrap
import TuttiSystem

/// A member that can become a member of another communicator as well.
protocol SplittingMember: CommunicatorMember {
  /// Whether each rank may fail alone in becoming a member of another communicator, so that all tell each other how that
  /// ended.
  var sharesOutcomes: Bool { get }

  /// Opens what others need to find this rank in a communicator to be. Sends nothing.
  func makeSplitOffer() throws(FailureReport) -> SplitOffer

  /// Makes this rank's member of `group`. All ranks of the group call it, up to the deadline in monotonic nanoseconds.
  func split(
    _ offer: SplitOffer, _ group: SplitGroup, deadline: UInt64
  ) throws(FailureReport) -> any SplittingMember
}

/// What a rank tells all others when it splits. Travels as a fixed number of words.
struct SplitAnnouncement: Equatable {
  static let wordCount = 7
  /// "tuttispl": no rank that is in another call says this.
  private static let mark: UInt64 = 0x6C70_7369_7474_7574

  /// nil for a rank that takes part in the call and in no group.
  var color: Int?
  var key: Int
  var place: SplitPlace
  /// Why this rank cannot be in a group although it has a color.
  var failure: FailureCode?
  /// Nanoseconds it is willing to wait for connections.
  var timeout: UInt64

  init(color: Int?, key: Int, place: SplitPlace, failure: FailureCode?, timeout: UInt64) {
    self.color = color
    self.key = key
    self.place = place
    self.failure = failure
    self.timeout = timeout
  }

  var words: [UInt64] {
    let flags = UInt64(place.port) | UInt64(failure?.rawValue ?? 0) << 16 | (color == nil ? 0 : 1 << 24)
    return [
      Self.mark, flags, UInt64(bitPattern: Int64(color ?? 0)), UInt64(bitPattern: Int64(key)), place.number.high,
      place.number.low, timeout,
    ]
  }

  /// nil for words that no rank says in a split.
  init?(words: [UInt64]) {
    guard words.count == Self.wordCount, words[0] == Self.mark, words[1] >> 25 == 0 else { return nil }
    let code = UInt8(truncatingIfNeeded: words[1] >> 16)
    failure = FailureCode(rawValue: code)
    if code != 0, failure == nil { return nil }
    color = words[1] & 1 << 24 == 0 ? nil : Int(Int64(bitPattern: words[2]))
    key = Int(Int64(bitPattern: words[3]))
    place = SplitPlace(
      number: CommunicatorID(high: words[4], low: words[5]), port: UInt16(truncatingIfNeeded: words[1]))
    timeout = words[6]
  }

  /// Returns the group of each rank, by rank, from what all ranks said. Pure, so the same on all ranks.
  static func groups(_ announcements: [SplitAnnouncement]) -> [Int: SplitGroup] {
    var groups: [Int: SplitGroup] = [:]
    for (color, ranks) in Dictionary(grouping: announcements.indices, by: { announcements[$0].color }) {
      guard let color else { continue }
      let ordered = ranks.sorted { (announcements[$0].key, $0) < (announcements[$1].key, $1) }
      for (number, rank) in ordered.enumerated() {
        groups[rank] = SplitGroup(
          color: color, ranks: ordered, rank: number, places: ordered.map { announcements[$0].place })
      }
    }
    return groups
  }
}

/// The ranks of one color, which become a communicator, as one of them sees it.
struct SplitGroup {
  let color: Int
  /// The ranks of the communicator that is being split, in the order of their new numbers.
  let ranks: [Int]
  /// This rank's new number.
  let rank: Int
  /// In the order of `ranks`.
  let places: [SplitPlace]

  /// The new communicator's own.
  var number: CommunicatorID { places[0].number }

  /// The rank, of those that are being split, that noticed a failure of the new communicator: this one, or one that told it.
  func observer(of failure: FailureReport) -> Int {
    ranks[ranks.indices.contains(failure.rank) ? failure.rank : rank]
  }
}

/// How a rank's part in forming its group ended. Travels as a word.
struct SplitOutcome: Equatable {
  /// "spl" above the numbers.
  private static let mark: UInt64 = 0x6C_7073 << 40

  /// nil when it ended well.
  let failure: FailureCode?
  /// The rank that noticed the failure.
  let observer: Int

  init(failure: FailureCode?, observer: Int) {
    self.failure = failure
    self.observer = observer
  }

  var cause: (code: FailureCode, observer: Int)? { failure.map { ($0, observer) } }

  var word: UInt64 { Self.mark | UInt64(observer) << 8 | UInt64(failure?.rawValue ?? 0) }

  /// nil for a word that no rank says here.
  init?(word: UInt64) {
    let code = UInt8(truncatingIfNeeded: word)
    failure = FailureCode(rawValue: code)
    guard word >> 40 == Self.mark >> 40, code == 0 || failure != nil else { return nil }
    observer = Int(word >> 8 & 0xFFFF_FFFF)
  }
}
