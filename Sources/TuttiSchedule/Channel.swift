/// How the channels of a schedule share the lanes of a link: the one place that says it, for lowering, the proof, the drawings, the engine
/// and the transports.
@frozen @usableFromInline
package enum Channel {
  /// Lanes that one operation has on a link, in each direction. A power of two.
  @inlinable package static var laneCount: Int { 2 }

  /// The lane of a channel among them: channels beyond the number of lanes share them in turn.
  @inlinable package static func lane(_ channel: Int) -> Int { channel & (laneCount - 1) }
}
