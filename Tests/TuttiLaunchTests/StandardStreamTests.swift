import CTuttiLinux
import Foundation
import Testing
import TuttiLaunch

/// Results arrive whole, or it is known that they have not.
@Suite struct StandardStreamTests {
  @Test("a slow reader behind a descriptor that does not block gets everything") func slowReader() async throws {
    var ends: [Int32] = [-1, -1]
    try #require(tutti_pipe(&ends) == 0)
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    let reader = ends[0]
    let text = String(repeating: "0123456789abcdef", count: 40_000)
    async let read: Int = onAThread(blocking: SIGWINCH) {
      var (total, buffer) = (0, [UInt8](repeating: 0, count: 50_000))
      while true {
        poll(nil, 0, 5)
        let count = Glibc.read(reader, &buffer, buffer.count)
        if count <= 0 { return total }
        total += count
      }
    }
    try writeAll(ends[1], text)
    tutti_close(ends[1])
    #expect(await read == text.utf8.count)
    tutti_close(reader)
  }

  @Test func failuresAreTold() throws {
    let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
    defer { close(full) }
    do {
      try writeAll(full, "text")
      Issue.record("nothing fits, and nobody notices")
    } catch { #expect(error.code == ENOSPC && !error.readerHasLeft) }
    StandardStream.outliveReaders()
    var ends: [Int32] = [-1, -1]
    try #require(tutti_pipe(&ends) == 0)
    tutti_close(ends[0])
    defer { tutti_close(ends[1]) }
    do {
      try writeAll(ends[1], "text")
      Issue.record("nobody reads, and nobody notices")
    } catch { #expect(error.readerHasLeft) }
  }
}
