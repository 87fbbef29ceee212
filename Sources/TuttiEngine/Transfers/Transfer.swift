import TuttiTransport

/// One send or receive, as the layer above describes it.
package struct TransferRequest {
  package var isSend: Bool
  /// The rank at the other end; may be this one.
  package var peer: Int
  /// `count` elements; a send does not write there.
  package var memory: UnsafeMutableRawPointer
  package var count: UInt64
  package var elementBytes: Int
  package var dataType: UInt8
  /// The limit of the whole call. It begins with whatever first takes time.
  package var limit: TimeLimit

  package init(
    isSend: Bool, peer: Int, memory: UnsafeMutableRawPointer, count: UInt64, elementBytes: Int, dataType: UInt8,
    limit: TimeLimit
  ) {
    self.isSend = isSend
    self.peer = peer
    self.memory = memory
    self.count = count
    self.elementBytes = elementBytes
    self.dataType = dataType
    self.limit = limit
  }
}

/// A started send or receive. Trivial apart from the reference it holds unmanaged. The memory is the caller's, who leaves it
/// to the transfer until that ends.
struct Transfer {
  /// The rank at the other end.
  var peer: Int
  var isSend: Bool
  var call: CallSignature
  /// Elements.
  var count: UInt64
  var base: UnsafeMutableRawPointer
  var bytes: Int
  /// Bytes handed to the link, or taken from it.
  var position = 0
  /// Where the memory lies in this rank's registered memory, or `InPlace.nowhere`.
  var registered: UInt64
  /// Its number among the messages of this pair and direction, from 1.
  var number: UInt64
  /// The sequence number of the segment that a send has last handed to the link.
  var lastSequence: UInt64 = 0
  /// The limit of the whole call, and when it is over.
  var limit: TimeLimit
  /// What keeps the memory alive until the transfer ends; retained.
  var owner: Unmanaged<AnyObject>?
  /// The next in its queue, or in the list of free records; -1 at the end.
  var next: Int32 = -1
}

/// The sends to one rank, or the receives from it, in the order they were started.
struct TransferQueue {
  /// The oldest that has not ended, and the newest; -1 when there is none.
  var first: Int32 = -1
  var last: Int32 = -1
  /// The oldest send that has not been handed to the link in full. Those before it wait until their memory is free.
  var current: Int32 = -1
  /// Number of the last one started.
  var started: UInt64 = 0
  /// The ticket of a receive here whose peer may stay away, because a message of another rank will do as well; 0 where there
  /// is none.
  var optional: UInt64 = 0
  /// Whether the sender of these receives may be granted more than it has been.
  var mayGrant = false
}
