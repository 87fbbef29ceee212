import TuttiTransport

/// A message of one pair, as errors name it.
package struct TransferIdentity: Sendable {
  var isSend: Bool
  /// The rank at the other end.
  var peer: Int
  /// Among the messages of this pair and direction, from 1.
  var number: UInt64
  var dataType: UInt8
  var count: UInt64

  init(_ transfer: UnsafeMutablePointer<Transfer>) {
    self.init(
      isSend: transfer.pointee.isSend, peer: transfer.pointee.peer, number: transfer.pointee.number,
      dataType: TransferCall.dataType(transfer.pointee.call), count: transfer.pointee.count)
  }

  init(isSend: Bool, peer: Int, number: UInt64, dataType: UInt8, count: UInt64) {
    self.isSend = isSend
    self.peer = peer
    self.number = number
    self.dataType = dataType
    self.count = count
  }

  /// What a peer says it sent.
  init(_ arrival: UnsafePointer<Arrival>, from peer: Int, _ number: UInt64) {
    self.init(
      isSend: true, peer: peer, number: number, dataType: TransferCall.dataType(arrival.pointee.call),
      count: arrival.pointee.count)
  }

  /// `float32 x 10`.
  func elements(_ delegate: any EngineDelegate) -> String { delegate.describeElements(dataType: dataType, count: count) }

  /// `receive of message 3 from rank 1 (float32 x 10)`.
  package func description(_ delegate: any EngineDelegate) -> String {
    "\(isSend ? "send" : "receive") of message \(number) \(isSend ? "to" : "from") rank \(peer) (\(elements(delegate)))"
  }
}
