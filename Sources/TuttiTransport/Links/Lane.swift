import TuttiSchedule

/// How a link is divided into lanes: independent, credited first-in-first-out streams in each direction.
///
/// Two operations in flight may be progressed in different order on different ranks; on one shared stream they would
/// deadlock. So operation k uses the lanes of slot `k mod operationSlots`, one lane for each channel of its
/// schedule, and waits for operation `k - operationSlots` to finish first.
@frozen @usableFromInline
package enum Lane {
  /// Operations of one communicator that make progress at the same time.
  @inlinable package static var operationSlots: Int { 2 }
  /// Channels of one schedule that have a lane of their own; further channels share them round robin.
  @inlinable package static var channels: Int { Channel.laneCount }
  /// The lane of send and receive, which are numbered by pair and not with the collectives.
  @inlinable package static var pointToPoint: Int { operationSlots * channels }
  /// Lanes of a link.
  @inlinable package static var count: Int { operationSlots * channels + 1 }
  /// Segments a sender may have outstanding on one lane before the receiver must have consumed the first.
  @inlinable package static var credit: Int { 4 }

  /// The lane of a channel of the operation in a slot.
  @inlinable
  package static func index(operationSlot: Int, channel: Int) -> Int {
    operationSlot * channels + Channel.lane(channel)
  }
}
