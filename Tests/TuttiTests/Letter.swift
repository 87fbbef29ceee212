import Foundation

@testable import Tutti

/// One message at one of its two ends: its memory at any alignment, guarded on both sides, and what must be in it.
final class Letter: @unchecked Sendable {
  // @unchecked: one rank's thread uses it; the transfer does so until its wait returns.
  private static let guardBytes = 64

  let isSend: Bool
  let peer: Int
  let bytes: Int
  let type: DataType
  private let salt: Int
  /// Owned.
  private let memory: UnsafeMutableRawPointer
  private let base: UnsafeMutableRawPointer
  private var work: Work?

  init(isSend: Bool, _ peer: Int, _ bytes: Int, _ type: DataType, salt: Int, _ generator: inout SeededGenerator) {
    self.isSend = isSend
    self.peer = peer
    self.type = type
    self.bytes = bytes / type.size * type.size
    self.salt = salt
    memory = .allocate(byteCount: bytes + 3 * Self.guardBytes, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: bytes + 3 * Self.guardBytes)
    base = memory + Self.guardBytes + Int.random(in: 0..<16, using: &generator)
    if isSend { withContents { _ = memcpy(base, $0, self.bytes) } }
  }

  deinit { memory.deallocate() }

  /// Mostly small, at times several MiB.
  static func randomBytes(_ generator: inout SeededGenerator) -> Int {
    switch Int.random(in: 0..<20, using: &generator) {
    case 0..<3: 0
    case 3..<9: Int.random(in: 1...200, using: &generator)
    case 9..<15: Int.random(in: 200...20_000, using: &generator)
    case 15..<19: Int.random(in: 20_000...500_000, using: &generator)
    default: Int.random(in: 500_000...4_000_000, using: &generator)
    }
  }

  /// Bytes that differ from place to place and from message to message, made once: a test checks many megabytes in a debug
  /// build.
  private static let noise: [UInt8] = {
    var generator = SeededGenerator(seed: 1)
    return (0..<5_000_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }()

  /// Calls `body` with what the message must hold.
  private func withContents<Result>(_ body: (UnsafeRawPointer) -> Result) -> Result {
    Self.noise.withUnsafeBytes { body($0.baseAddress! + salt * 61) }
  }

  func start(_ communicator: Communicator) throws {
    let count = bytes / type.size
    work =
      isSend
      ? try communicator.startSend(RawMemory(base, count: count, type: type), to: peer)
      : try communicator.startReceive(into: RawMemory(base, count: count, type: type), from: peer)
  }

  func finish() throws {
    try work!.wait()
    guard work!.isDone else { throw WrongResult(description: "\(what): waited for, and not done") }
    try check()
  }

  /// Blocks until it is sent or received.
  func perform(_ communicator: Communicator) throws {
    let count = bytes / type.size
    if isSend {
      try communicator.send(RawMemory(base, count: count, type: type), to: peer)
    } else {
      try communicator.receive(into: RawMemory(base, count: count, type: type), from: peer)
    }
    try check()
  }

  private var what: String { "\(isSend ? "send to" : "receive from") \(peer) of \(bytes) bytes, salt \(salt)" }

  private func check() throws {
    guard withContents({ memcmp(base, $0, bytes) }) == 0 else { throw WrongResult(description: "\(what): wrong bytes") }
    for offset in Array(-32..<0) + Array(bytes..<bytes + 32)
    where (base + offset).load(as: UInt8.self) != 0xA5 {
      throw WrongResult(description: "\(what): byte \(offset) outside was written")
    }
    // What has ended leaves the memory to its owner: a send that still reads it sends rubbish.
    if isSend { memset(base, 0xEE, bytes) }
  }
}
