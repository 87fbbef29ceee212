import Testing

@testable import Tutti

/// The memory that calls take, and what can be done with a buffer besides.
@Suite struct MemoryTests {
  @Test func aBufferCanBeReadAndWrittenBySpans() throws {
    let buffer = TuttiBuffer<Int32>([1, 2, 3])
    var sum: Int32 = 0
    let span = buffer.span
    for index in span.indices { sum += span[index] }
    #expect(sum == 6)
    var writable = buffer.mutableSpan
    writable[1] = 20
    let written = span[1]
    #expect(written == 20 && buffer.elements == [1, 20, 3])
    try withRanks(2) { communicator in
      let own = TuttiBuffer<Int32>([Int32(communicator.rank), 5])
      var span = own.mutableSpan
      try communicator.allReduce(&span, .sum)
      #expect(own.elements == [1, 10])
    }
    let isEmpty = TuttiBuffer<Int8>(count: 0, repeating: 1).span.isEmpty
    #expect(isEmpty)
  }

  @Test func rawMemoryOfElements() {
    let values: [Float16] = [1, 2, 3]
    values.withUnsafeBytes { bytes in
      let memory = RawMemory(bytes, of: Float16.self)
      #expect(memory.count == 3 && memory.type == .float16)
      #expect(memory.address.map { UnsafeRawPointer($0) } == bytes.baseAddress)
      #expect(RawMemory(UnsafeRawBufferPointer(rebasing: bytes[..<0]), of: Float16.self).count == 0)
    }
    #expect(RawMemory(UnsafeRawBufferPointer(start: nil, count: 0), of: Int.self).address == nil)
  }
}
