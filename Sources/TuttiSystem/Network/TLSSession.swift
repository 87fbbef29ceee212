import CTuttiTLS
import Glibc

/// One side of a connection that speaks TLS 1.3 with a key that both sides have. It uses the socket and does not own it: see
/// ``Connection``.
///
/// Not thread-safe, like the links and connections that have it: their owner's lock protects it.
package final class TLSSession: @unchecked Sendable {
  // @unchecked: handed from the thread that made the connection to the owner of the connection.

  /// Which side begins the handshake.
  package enum Side: Sendable { case dialer, listener }

  /// What a handshake is waiting for.
  package enum Progress: Equatable {
    case done
    case wantsRead, wantsWrite
    /// It has come to nothing; why, in words.
    case failed(String)
  }

  /// How many records one key protects: at most 2^24.5 full ones are allowed (RFC 8446, 5.5).
  package static let recordsPerKey: UInt64 = 1 << 24

  /// For the shims that send and receive; freed with this object.
  package let raw: OpaquePointer

  /// - Parameters:
  ///   - socket: Connected, and open for longer than this object is used.
  ///   - key: 32 bytes, for this connection alone.
  ///   - recordsPerKey: Tests pass fewer.
  /// - Throws: `.resources`: memory has run out.
  package init(
    _ side: Side, socket: Int32, key: [UInt8], recordsPerKey: UInt64 = TLSSession.recordsPerKey
  ) throws(FailureReport) {
    precondition(key.count == Int(TUTTI_TLS_KEY_BYTES) && !TLSLibrary.version.isEmpty)
    guard let made = tutti_tls_make(socket, side == .listener ? 1 : 0, key, recordsPerKey) else {
      throw FailureReport(.resources, "cannot make a TLS session", advice: "Give the process more memory")
    }
    raw = made
  }

  deinit { tutti_tls_free(raw) }

  /// Goes on with the handshake as far as it gets without waiting.
  package func handshake() -> Progress {
    switch Int(tutti_tls_handshake(raw)) {
    case TUTTI_TLS_DONE: .done
    case TUTTI_TLS_WANTS_READ: .wantsRead
    case TUTTI_TLS_WANTS_WRITE: .wantsWrite
    default: .failed(failure)
    }
  }

  /// Why the session failed; empty while it has not.
  package var failure: String { String(cString: tutti_tls_failure(raw)) }

  /// Whether nothing can be received until more comes at the socket.
  package var isDry: Bool { tutti_tls_is_dry(raw) != 0 }

  /// How many times this side has changed its key.
  package var keyChanges: UInt64 { tutti_tls_key_changes(raw) }
}
