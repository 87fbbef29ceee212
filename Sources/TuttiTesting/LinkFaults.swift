import TuttiTransport

/// How the links between ranks of one process misbehave: they deliver late, in pieces or slowly, or are cut. A correct
/// program notices nothing but a cut.
///
/// What happens to a link depends on these values alone, so a failing run can be repeated by its seed.
public struct LinkFaults: Sendable {
  var faults: InProcessFaults

  /// Makes links deliver late and in pieces, one in four of them ten times later than the others.
  public init(seed: UInt64) { faults = InProcessFaults(seed: seed) }

  /// Cuts every link when one of its ends is about to send its segment of this number, from 1. All ranks must then get an
  /// error that names a peer. With nil, no link is cut.
  public var severAtSegment: UInt64? {
    get { faults.severAtSegment }
    set { faults.severAtSegment = newValue }
  }
}
