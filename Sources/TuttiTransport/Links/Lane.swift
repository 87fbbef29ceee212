import TuttiSchedule

/// Says how a link is divided into lanes: independent first-in-first-out streams in each direction, each with its own
/// credit.
///
/// Two operations in flight may be progressed in different order on different ranks; on one shared stream they would
/// deadlock. So operation k uses the lanes of slot `k mod operationSlots`, one lane for each channel of its
/// schedule, and waits for operation `k - operationSlots` to finish first.
@frozen @usableFromInline
package enum Lane {
  /// How many operations of one communicator make progress at the same time.
  @inlinable package static var operationSlots: Int { 2 }
  /// How many channels of one schedule have a lane of their own; further channels share them round robin.
  @inlinable package static var channels: Int { Channel.laneCount }
  /// The lane of send and receive, which are numbered by pair and not with the collectives.
  @inlinable package static var pointToPoint: Int { operationSlots * channels }
  /// The number of lanes of a link.
  @inlinable package static var count: Int { operationSlots * channels + 1 }
  /// How many segments a sender may have outstanding on one lane before the receiver must have consumed the first.
  @inlinable package static var credit: Int { 4 }

  /// The lane of a channel of the operation in a slot.
  @inlinable
  package static func index(operationSlot: Int, channel: Int) -> Int {
    operationSlot * channels + Channel.lane(channel)
  }
}
