/// The wire format: a header of 40 bytes, little-endian, precedes every segment on a socket.
///
/// | offset | bits | field |
/// | --- | --- | --- |
/// | 0 | 16 | magic |
/// | 2 | 8 | version of this format |
/// | 3 | 4 + 4 | kind (low nibble), lane (high nibble) |
/// | 4 | 32 | payload bytes |
/// | 8 | 32 | acknowledged: segments of this lane that the frame's sender has consumed, modulo 2^32 |
/// | 12 | 32 | zero |
/// | 16 | 64 | sequence on this lane and direction, from 1 |
/// | 24 | 64 | call signature |
/// | 32 | 64 | element count |
///
/// A *data* frame is followed by its payload. A *credit* frame carries nothing but `acknowledged`.
enum TCPFrame {
  static let headerBytes = 40
  /// Magic `Tu` and version 1; the low 24 bits of the first word.
  static let signature: UInt32 = 0x01_7554
  static let data: UInt32 = 1
  static let credit: UInt32 = 2

  @inline(__always)
  static func encode(
    into header: UnsafeMutableRawPointer, kind: UInt32, lane: Int, bytes: Int, acknowledged: UInt64, sequence: UInt64,
    call: UInt64, count: UInt64
  ) {
    let first = signature | kind << 24 | UInt32(truncatingIfNeeded: lane) << 28
    header.storeBytes(of: first.littleEndian, as: UInt32.self)
    header.storeBytes(of: UInt32(truncatingIfNeeded: bytes).littleEndian, toByteOffset: 4, as: UInt32.self)
    header.storeBytes(of: UInt32(truncatingIfNeeded: acknowledged).littleEndian, toByteOffset: 8, as: UInt32.self)
    header.storeBytes(of: 0, toByteOffset: 12, as: UInt32.self)
    header.storeBytes(of: sequence.littleEndian, toByteOffset: 16, as: UInt64.self)
    header.storeBytes(of: call.littleEndian, toByteOffset: 24, as: UInt64.self)
    header.storeBytes(of: count.littleEndian, toByteOffset: 32, as: UInt64.self)
  }
}

/// A header as it lies in the input, which may be unaligned. Nothing in it is trusted yet.
struct TCPHeader {
  let base: UnsafeRawPointer

  @inline(__always) private func word(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  @inline(__always) private func long(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always) var isOurs: Bool { word(0) & 0xFF_FFFF == TCPFrame.signature && word(12) == 0 }
  @inline(__always) var magic: UInt32 { word(0) & 0xFFFF }
  @inline(__always) var version: UInt32 { word(0) >> 16 & 0xFF }
  @inline(__always) var kind: UInt32 { word(0) >> 24 & 0xF }
  @inline(__always) var lane: Int { Int(word(0) >> 28) }
  @inline(__always) var bytes: Int { Int(word(4)) }
  @inline(__always) var acknowledged: UInt32 { word(8) }
  @inline(__always) var sequence: UInt64 { long(16) }
  @inline(__always) var call: UInt64 { long(24) }
  @inline(__always) var count: UInt64 { long(32) }
}
