import TuttiTransport

/// How the links between ranks of one process misbehave: late, in pieces, slow, or cut. A correct program does not notice, but for a
/// cut.
///
/// What befalls a link depends on nothing but these values, so a failing run is repeated by its seed.
public struct LinkFaults: Sendable {
  var faults: InProcessFaults

  /// Links that deliver late and in pieces, one in four of them ten times later than the others.
  public init(seed: UInt64) { faults = InProcessFaults(seed: seed) }

  /// Cuts every link when one of its ends is about to send its segment of this number, from 1: all ranks must get an error that names a
  /// peer. nil: never.
  public var severAtSegment: UInt64? {
    get { faults.severAtSegment }
    set { faults.severAtSegment = newValue }
  }
}
