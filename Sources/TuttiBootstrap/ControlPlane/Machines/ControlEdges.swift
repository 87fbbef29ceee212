import Glibc
import TuttiSystem

/// What carries the frames of one edge: a socket, or memory in tests. Nothing here blocks.
protocol EdgeChannel: AnyObject {
  /// Takes a frame to be sent, and hands on what goes now.
  func send(_ frame: [UInt8])
  /// Hands on what goes now of that which waits to be sent.
  func flush()
  /// Bytes that wait to be sent.
  var queuedBytes: Int { get }
  /// What has been sent, and has come.
  var traffic: ControlTraffic { get }
  /// Takes in a bounded amount. Returns whether more may be waiting.
  func fill() -> Bool
  /// The next frame that has come whole.
  func nextFrame() -> [UInt8]?
  var state: FramedConnection.State { get }
  func close()
}

/// One rank's edges of the control tree: which stand, how the others came to their end, and what travels over them.
///
/// Knows nothing of failures: an edge stands from its attachment until its neighbour or this rank leaves, or until it
/// breaks. So the edges outlive the first cause, and who is left can agree over them on what comes next.
///
/// Invariant: a neighbour has a channel or an end, never both; once it has an end, it gets no channel.
struct ControlEdges {
  /// How a rank came to its end, as far as its edge and the departure board tell.
  enum End: Equatable {
    /// It has left in good order.
    case departed
    /// Its edge ended without a goodbye: 0, or the `errno`.
    case broken(Int32)
  }

  /// What came over an edge.
  enum News {
    case message(ControlMessage, from: Int)
    /// The edge has ended without a goodbye, with an `errno` or 0.
    case broken(peer: Int, Int32)
  }

  let rank: Int
  let tree: ControlTree
  private(set) var channels: [Int: any EdgeChannel] = [:]
  /// The ends of neighbours, and of other ranks whose departure is known.
  private var ends: [Int: End] = [:]
  private var isClosed = false

  /// How many bytes may wait for a neighbour that does not read before it gets no more questions and answers.
  private static let queuedBytesMax = 16 * ControlMessage.bytesMax
  /// How often an edge is filled before others get their turn: a neighbour that never stops sending must not keep the
  /// thread.
  private static let fillsMax = 4

  init(rank: Int, tree: ControlTree) {
    self.rank = rank
    self.tree = tree
  }

  // MARK: Standing

  /// The neighbours to which there is no edge, and was none.
  var missing: [Int] { tree.neighbours(of: rank).filter { channels[$0] == nil && ends[$0] == nil } }

  func hasDeparted(_ peer: Int) -> Bool { ends[peer] == .departed }

  /// The ranks whose edge broke and who are not known to have departed.
  var broken: [(peer: Int, code: Int32)] {
    ends.compactMap { peer, end in if case .broken(let code) = end { (peer, code) } else { nil } }.sorted { $0.0 < $1.0 }
  }

  /// Makes an authenticated connection the edge to `peer`. False for a second one, and for one that comes too late: the
  /// caller closes it.
  mutating func attach(_ channel: any EdgeChannel, to peer: Int) -> Bool {
    guard !isClosed, channels[peer] == nil, ends[peer] == nil else { return false }
    channels[peer] = channel
    return true
  }

  /// Notes that a rank is known, from elsewhere than its edge, to have left in good order.
  mutating func noteDeparture(of peer: Int) { ends[peer] = .departed }

  // MARK: What comes

  /// Takes in what a neighbour has sent, in order, then notices the end of its edge. A bounded amount: the rest is there for
  /// the next call.
  mutating func read(_ peer: Int) -> [News] {
    guard let channel = channels[peer] else { return [] }
    channel.flush()
    var news: [News] = []
    for _ in 0..<Self.fillsMax {
      let mayHaveMore = channel.fill()
      while let frame = channel.nextFrame() {
        guard let message = try? ControlMessage(frame, rankCount: tree.rankCount) else {
          return news + [end(peer, EBADMSG)]
        }
        if case .goodbye = message {
          close(peer, .departed)
          return news
        }
        news.append(.message(message, from: peer))
      }
      if !mayHaveMore { break }
    }
    switch channel.state {
    case .open: return news
    case .malformed: return news + [end(peer, EBADMSG)]
    case .ended(let code): return news + [end(peer, code)]
    }
  }

  private mutating func end(_ peer: Int, _ code: Int32) -> News {
    close(peer, .broken(code))
    return .broken(peer: peer, code)
  }

  // MARK: What goes

  /// Hands a message to the edge of a neighbour.
  func send(_ message: ControlMessage, to peer: Int) { channels[peer]?.send(message.bytes) }

  /// Hands a message to every edge but one.
  func tell(_ message: ControlMessage, except source: Int?) {
    let frame = message.bytes
    for (peer, channel) in channels where peer != source { channel.send(frame) }
  }

  /// Sends a question or an answer on its way along the tree. Both may be lost: a neighbour that does not read gets no more
  /// of them.
  func route(_ message: ControlMessage, to target: Int) {
    guard let hop = tree.nextHop(from: rank, to: target), let channel = channels[hop],
      channel.queuedBytes < Self.queuedBytesMax
    else { return }
    channel.send(message.bytes)
  }

  /// Hands on what goes now. Returns whether nothing is left.
  func flush() -> Bool {
    for channel in channels.values { channel.flush() }
    return channels.values.allSatisfy { $0.queuedBytes == 0 }
  }

  /// Closes every edge. Neighbours that have heard no goodbye take it for this rank's end.
  mutating func close() {
    isClosed = true
    for peer in Array(channels.keys) { close(peer, nil) }
  }

  private mutating func close(_ peer: Int, _ end: End?) {
    if let end { ends[peer] = end }
    channels.removeValue(forKey: peer)?.close()
  }
}
