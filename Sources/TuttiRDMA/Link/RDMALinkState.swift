#if RDMA
  import CTuttiVerbs
  import TuttiTransport

  /// One lane's counters, both directions. Plain memory: only whoever holds the engine's lock touches it.
  ///
  /// Invariant: `acknowledged <= sent <= acknowledged + credit`, `announced <= consumed`, and what has arrived lies in
  /// `consumed + 1 ... consumed + credit`.
  struct RDMALane {
    // Going out.
    var sent: UInt64 = 0
    /// How many of them the peer said it has consumed.
    var acknowledged: UInt64 = 0
    /// Slots (bits) whose segment is still read from callers' memory.
    var held: UInt32 = 0

    // Coming in.
    var consumed: UInt64 = 0
    /// How many of the consumed ones the peer has been told of.
    var announced: UInt64 = 0
    /// Slots (bits) whose segment has arrived and was not consumed.
    var arrived: UInt32 = 0
  }

  /// A queue pair as the data path sees it.
  struct RDMAPair {
    let pair: VerbsLibrary.QueuePair
    let rail: Int
    let localKey: UInt32
    let remoteKey: UInt32
    let inlineBytesMax: Int
    /// Requests posted to the send queue, and how many of them are known to be over.
    var posted: UInt32 = 0
    var retired: UInt32 = 0
    /// Posted since the last that makes a completion.
    var unsignalled: UInt32 = 0
    /// Receives that were used up.
    var usedReceives = 0

    init(pair: VerbsLibrary.QueuePair, rail: Int, localKey: UInt32, remoteKey: UInt32, inlineBytesMax: Int) {
      self.pair = pair
      self.rail = rail
      self.localKey = localKey
      self.remoteKey = remoteKey
      self.inlineBytesMax = inlineBytesMax
    }
  }

  /// What concerns the link as a whole.
  struct RDMALinkState {
    /// Lanes (bits) on which half the credit or more has not been given back; likewise, those with a question to send, and
    /// with an answer.
    var creditDue: UInt32 = 0
    var questionDue: UInt32 = 0
    var answerDue: UInt32 = 0
    /// Whether the queues were armed once, so that the channels may have an event.
    var mayHaveEvents = false
    /// Whether completions were taken since the link last said whether its rank may park.
    var hasTaken = false
    var isStopped = false
    var isClosed = false
    var peerHasClosed = false
    var hasSaidGoodbye = false
    /// When a request failed for a reason that may turn out to be a different one; 0 while none has.
    var suspectSince: UInt64 = 0
    /// When the peer's host was last probed.
    var lastProbe: UInt64 = 0
    var copiedBytes: UInt64 = 0
    var uncopiedBytes: UInt64 = 0
    var placedBytes: UInt64 = 0
  }

  extension RDMALink {
    /// The number by which a completion identifies its request: bits 0-31 hold the queue pair's count of posted requests,
    /// 32-39 its number on the link, 40-47 lane and slot of a held segment.
    enum RequestID {
      private static let receiveBit: UInt64 = 1 << 63
      private static let heldBit: UInt64 = 1 << 62

      static func receive(queuePair: Int) -> UInt64 { receiveBit | UInt64(queuePair) << 32 }
      static func send(queuePair: Int, posted: UInt32) -> UInt64 { UInt64(queuePair) << 32 | UInt64(posted) }
      static func held(queuePair: Int, posted: UInt32, lane: Int, slot: Int) -> UInt64 {
        heldBit | UInt64(lane) << 44 | UInt64(slot) << 40 | send(queuePair: queuePair, posted: posted)
      }

      static func isReceive(_ id: UInt64) -> Bool { id & receiveBit != 0 }
      static func isHeld(_ id: UInt64) -> Bool { id & heldBit != 0 }
      static func queuePair(_ id: UInt64) -> Int { Int(id >> 32 & 0xFF) }
      static func posted(_ id: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: id) }
      static func lane(_ id: UInt64) -> Int { Int(id >> 44 & 15) }
      static func slot(_ id: UInt64) -> Int { Int(id >> 40 & 15) }
    }
  }
#endif
