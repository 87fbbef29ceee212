import Glibc
import TuttiSystem

/// Makes test data of any length from one table. Element `key` is a pure function of its number.
///
/// The elements are cut into tiles as long as the table, and each tile is the table turned by a hash of the tile's number.
/// So data is written and compared at the speed of memory, and misplaced data is found: the length of the table is prime, so
/// that no size people use is a multiple of it, and whole tiles differ by how they are turned.
package struct PatternTable: Sendable {
  /// The number of elements of the table.
  package static let period = 1021

  private let elementBytes: Int
  /// The table twice, so that a turned one is contiguous.
  private let bytes: [UInt8]

  /// - Parameter word: The bits of the table's element `index`; the lowest `elementBytes` bytes count.
  package init(elementBytes: Int, word: (Int) -> UInt64) {
    self.elementBytes = elementBytes
    var table: [UInt8] = []
    table.reserveCapacity(2 * Self.period * elementBytes)
    for index in 0..<Self.period {
      // Little-endian, as memory is on every processor this runs on.
      withUnsafeBytes(of: word(index).littleEndian) { table.append(contentsOf: $0.prefix(elementBytes)) }
    }
    bytes = table + table
  }

  private init(elementBytes: Int, bytes: [UInt8]) {
    self.elementBytes = elementBytes
    self.bytes = bytes
  }

  /// A table whose data differs from this one's in every element.
  package var complement: PatternTable { PatternTable(elementBytes: elementBytes, bytes: bytes.map { ~$0 }) }

  /// Writes elements `key ..< key + count`.
  package func write(_ buffer: UnsafeMutableRawPointer, from key: Int, count: Int) {
    forEachRun(from: key, count: count) { offset, expected in
      memcpy(buffer + offset, expected.baseAddress!, expected.count)
    }
  }

  /// - Returns: How many elements differ in any bit from `key ..< key + count`.
  package func wrongElements(_ buffer: UnsafeRawPointer, from key: Int, count: Int) -> Int {
    var wrong = 0
    forEachRun(from: key, count: count) { offset, expected in
      let found = buffer + offset
      if memcmp(found, expected.baseAddress!, expected.count) == 0 { return }
      for byte in stride(from: 0, to: expected.count, by: elementBytes)
      where memcmp(found + byte, expected.baseAddress! + byte, elementBytes) != 0 {
        wrong += 1
      }
    }
    return wrong
  }

  /// Calls `body` tile by tile, with a place in the buffer, in bytes, and the data that belongs there.
  private func forEachRun(from key: Int, count: Int, _ body: (Int, UnsafeRawBufferPointer) -> Void) {
    bytes.withUnsafeBytes { table in
      var done = 0
      while done < count {
        let (tile, position) = (key + done).quotientAndRemainder(dividingBy: Self.period)
        let length = min(Self.period - position, count - done)
        let start = Int(truncatingIfNeeded: mixed(UInt64(tile)) % UInt64(Self.period)) + position
        body(
          done * elementBytes,
          UnsafeRawBufferPointer(rebasing: table[start * elementBytes..<(start + length) * elementBytes]))
        done += length
      }
    }
  }
}

/// A bijection of 64 bits that looks random, and maps 0 to 0.
package func mixed(_ value: UInt64) -> UInt64 { SeededGenerator.mixed(value) }
