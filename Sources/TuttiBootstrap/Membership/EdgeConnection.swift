import Glibc
import TuttiSystem

/// An edge of the control tree over a socket, which the service thread watches for input, and for room to send exactly as
/// long as something is queued. Used under its membership's lock.
final class EdgeConnection: EdgeChannel {
  private let connection: FramedConnection
  private let service: ServiceThread
  private let token: ServiceThread.Token

  /// The connection of an edge to be. The table of ranks may travel over it, to the child.
  static func framed(_ peer: Int, _ connection: consuming Connection, clock: MonotonicClock) -> FramedConnection {
    FramedConnection(
      peer: peer, connection, frameBytesMax: ControlMessage.bytesMax,
      sentFrameBytesMax: RendezvousMessage.tableBytesMax, clock: clock)
  }

  /// - Parameters:
  ///   - connection: The edge's from here on.
  ///   - patience: How long the network may carry nothing.
  ///   - handler: Called whenever there is something to read, room to send, or an end.
  /// - Throws: `.resources`: no more can be watched. The connection is closed then.
  init(
    _ connection: FramedConnection, _ service: ServiceThread, patience: LinkPatience,
    _ handler: @escaping ServiceThread.Handler
  ) throws(FailureReport) {
    Sockets.limitSilence(connection.descriptor, patience)
    connection.frameBytesMax = ControlMessage.bytesMax
    self.connection = connection
    self.service = service
    token = try service.watch(connection.descriptor, POLLIN, handler)
  }

  /// The number of the socket, for the kernel to be asked about.
  var descriptor: Int32 { connection.descriptor }

  func send(_ frame: [UInt8]) {
    connection.queue(frame)
    flush()
  }

  func flush() {
    connection.flush()
    let isQueued = connection.queuedBytes > 0
    guard connection.isWatchedForRoom != isQueued else { return }
    connection.isWatchedForRoom = isQueued
    service.rewatch(token, connection.descriptor, isQueued ? POLLIN | POLLOUT : POLLIN)
  }

  var traffic: ControlTraffic { connection.traffic }

  var queuedBytes: Int { connection.queuedBytes }

  func fill() -> Bool { connection.fill() }

  func nextFrame() -> [UInt8]? { connection.nextFrame() }

  var state: FramedConnection.State { connection.state }

  func close() {
    service.unwatch(token, connection.descriptor)
    // Unread input would turn the close into a reset, which may overtake what was sent last.
    for _ in 0..<16 where connection.fill() { while connection.nextFrame() != nil {} }
    connection.close()
  }
}
