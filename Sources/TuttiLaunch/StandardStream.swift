import Glibc

/// Standard output and error, without the buffering of the C library.
public enum StandardStream: Int32, Sendable {
  case output = 1
  case error = 2

  /// Why a text did not arrive.
  public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The value of `errno`.
    public let code: Int32
    /// Whether the reader of the stream has left, as `head` does. Nobody has made a mistake then.
    public var readerHasLeft: Bool { code == EPIPE }
    public var description: String { String(cString: strerror(code)) }
  }

  /// Writes all of a text. Waits for a slow reader, even where the descriptor does not block.
  ///
  /// - Throws: ``Failure``; some of the text may have arrived. A reader that has left ends the process instead, by SIGPIPE,
  ///   unless it ``outliveReaders()``.
  public func write(_ text: String) throws(Failure) { try writeAll(rawValue, text) }

  /// Finds errors that some file systems report only when a file is closed. The stream stays open.
  ///
  /// - Throws: ``Failure``.
  public func flush() throws(Failure) {
    let copy = dup(rawValue)
    guard copy >= 0, close(copy) == 0 else { throw Failure(code: errno) }
  }

  /// Makes this process ignore SIGPIPE from now on, so that ``write(_:)`` throws when a reader has left.
  public static func outliveReaders() { signal(SIGPIPE, SIG_IGN) }
}

/// Writes all of a text to a descriptor, waiting for a slow reader.
package func writeAll(_ descriptor: Int32, _ text: String) throws(StandardStream.Failure) {
  try writeAll(descriptor, Array(text.utf8)[...])
}

/// Writes all of some bytes to a descriptor, waiting for a slow reader.
func writeAll(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) throws(StandardStream.Failure) {
  var bytes = bytes
  while !bytes.isEmpty {
    let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if written >= 0 {
      bytes = bytes.dropFirst(written)
      continue
    }
    switch errno {
    case EINTR: continue
    case EAGAIN:
      var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      poll(&wait, 1, -1)
    case let code: throw StandardStream.Failure(code: code)
    }
  }
}
