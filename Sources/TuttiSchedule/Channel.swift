/// Says how the channels of a schedule share the lanes of a link. Lowering, the proof, the drawings, the engine and the
/// transports all ask here.
@frozen @usableFromInline
package enum Channel {
  /// The number of lanes that one operation has on a link, in each direction. A power of two.
  @inlinable package static var laneCount: Int { 2 }

  /// The lane of a channel among them: channels beyond the number of lanes share them in turn.
  @inlinable package static func lane(_ channel: Int) -> Int { channel & (laneCount - 1) }
}
