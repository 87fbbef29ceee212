import CTuttiTLS
import Glibc

/// The one owner of a connected stream socket, and of the TLS session that it speaks where it speaks TLS.
///
/// Whoever sends and receives on the socket's number alone must have asked ``isEncrypted`` first: ``takeSocket()`` does.
package struct Connection: ~Copyable, Sendable {
  private let socket: OwnedDescriptor
  /// nil for a connection in the clear.
  package let tls: TLSSession?

  /// - Parameter tls: Its handshake is done.
  package init(_ socket: consuming OwnedDescriptor, tls: TLSSession? = nil) {
    self.socket = socket
    self.tls = tls
  }

  /// The socket's number, to be waited for and asked about.
  package var raw: Int32 { socket.raw }

  package var isEncrypted: Bool { tls != nil }

  /// Gives the socket of a connection in the clear to a new owner.
  package consuming func takeSocket() -> OwnedDescriptor {
    precondition(tls == nil, "an encrypted connection is used in the clear")
    return socket
  }

  /// Sends as much as fits now. Returns the number of bytes, 0 when nothing fits, or the `errno`.
  ///
  /// What did not fit must come first the next time, and be at least as long.
  package borrowing func sendNow(_ bytes: ArraySlice<UInt8>) -> Result<Int, SystemError> {
    let moved = bytes.withUnsafeBytes { tutti_stream_send(raw, tls?.raw, $0.baseAddress, $0.count, nil, 0) }
    if moved >= 0 { return .success(moved) }
    return moved == -Int(EAGAIN) ? .success(0) : .failure(SystemError(code: Int32(-moved)))
  }

  /// Takes up to `max` bytes that are there now; a few more where a session has taken them from the socket already, so that
  /// whoever polls the socket misses nothing.
  package borrowing func receiveNow(max: Int) -> Sockets.Received {
    guard let tls else { return Sockets.receiveNow(raw, max: max) }
    var moved = 0
    var bytes = [UInt8](unsafeUninitializedCapacity: max) { buffer, filled in
      moved = tutti_tls_receive(tls.raw, buffer.baseAddress, max, nil, 0)
      filled = Swift.max(moved, 0)
    }
    guard moved > 0 else {
      if moved == 0 { return .end(0) }
      return moved == -Int(EAGAIN) ? .nothing : .end(Int32(-moved))
    }
    while !tls.isDry {
      var held = 0
      let more = [UInt8](unsafeUninitializedCapacity: Int(TUTTI_TLS_PLAINTEXT_MAX)) { buffer, filled in
        held = tutti_tls_receive_held(tls.raw, buffer.baseAddress, Int(TUTTI_TLS_PLAINTEXT_MAX))
        filled = Swift.max(held, 0)
      }
      // An end is told by the next call.
      if held <= 0 { break }
      bytes += more
    }
    return .bytes(bytes)
  }
}

/// Carries a connection from one thread to another, or holds it in a list that cannot hold its owner. It is closed with the
/// last reference, unless it was taken.
package final class PassedConnection: Sendable {
  private let socket: PassedDescriptor
  private let tls: TLSSession?

  package init(_ connection: consuming Connection) {
    tls = connection.tls
    socket = PassedDescriptor(connection.release())
  }

  /// A connection over a socket that was passed before.
  package init(_ socket: PassedDescriptor, tls: TLSSession?) {
    self.socket = socket
    self.tls = tls
  }

  package var raw: Int32 { socket.raw }

  /// Takes the connection. May be called once.
  package func take() -> Connection { Connection(socket.take(), tls: tls) }
}

extension Connection {
  /// Gives the socket to an owner that keeps the session as well.
  package consuming func release() -> OwnedDescriptor { socket }
}
