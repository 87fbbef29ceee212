// Runs one kernel on memory with guards around it and compares every bit with the reference.

import CTuttiKernels
import Foundation
import Testing
import TuttiSystem

/// TUTTI_TEST_SEED replays a run.
typealias SeededGenerator = TuttiSystem.SeededGenerator

extension SeededGenerator {
  static let seed: UInt64 = {
    let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? .random(in: 0...UInt64.max)
    print("TUTTI_TEST_SEED=\(seed) replays the kernel tests")
    return seed
  }()
}

/// Bytes at a chosen distance from a 64-byte boundary, with guard bytes before and after. Frees them when it goes.
final class GuardedMemory {
  private static let guardBytes = 128
  private static let untouched = [UInt8](repeating: 0xa5, count: guardBytes + 64)
  private let block: UnsafeMutableRawPointer
  private let blockBytes: Int
  private let offset: Int
  let count: Int

  init(byteCount: Int, misalignment: Int) {
    count = byteCount
    offset = Self.guardBytes + misalignment
    blockBytes = offset + byteCount + Self.guardBytes
    block = .allocate(byteCount: blockBytes, alignment: 64)
    block.initializeMemory(as: UInt8.self, repeating: 0xa5, count: blockBytes)
  }

  deinit { block.deallocate() }

  var start: UnsafeMutableRawPointer { block + offset }
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

  func fill(_ bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(start: start, count: count).copyMemory(from: bytes)
  }

  var guardsAreIntact: Bool {
    memcmp(block, Self.untouched, offset) == 0 && memcmp(start + count, Self.untouched, Self.guardBytes) == 0
  }

  func equals(_ expected: UnsafeRawBufferPointer) -> Bool {
    expected.count == count && (count == 0 || memcmp(start, expected.baseAddress!, count) == 0)
  }
}

/// What one call of a kernel looks like, beyond its data.
struct KernelCall: CustomStringConvertible {
  var destinationOffset = 0
  var secondOffset = 0
  var sourceOffset = 0
  /// `TUTTI_STREAM_...`
  var streaming: Int32 = 0
  /// The source that is also the destination.
  var inPlace: Int?
  var second = false

  var description: String {
    "offsets \(destinationOffset) \(secondOffset) \(sourceOffset), streaming \(streaming), in place "
      + "\(inPlace.map(String.init) ?? "no"), second \(second)"
  }
}

/// The sources of one case and what combining them gives.
struct KernelCase<Element: KernelElement> {
  let operation: KernelOperation
  let sources: [[Element.Bits]]
  /// What an average divides by.
  let divisor: Double
  /// Which sources an average divides as they enter, instead of their sum: a byte for each, not 0 where it does.
  let divided: [UInt8]?
  let expected: [Element.Bits]

  /// Edge values and random bits, half and half.
  init(operation: KernelOperation, sourceCount: Int, count: Int, using generator: inout SeededGenerator) {
    let edges = Element.edges
    self.init(
      operation: operation,
      sources: (0..<sourceCount).map { _ in
        (0..<count).map { _ in
          let random = generator.next()
          return random % 2 == 0 ? edges[Int(random >> 8) % edges.count] : .init(truncatingIfNeeded: random >> 1)
        }
      },
      divisor: [1, 2, 3, 7, 1000, 0.1, -5, 0x1p100][Int(generator.next() % 8)])
  }

  init(operation: KernelOperation, sources: [[Element.Bits]], divisor: Double = 3, divided: [UInt8]? = nil) {
    self.operation = operation
    self.sources = sources
    self.divisor = divisor
    self.divided = divided
    if sources.count == 1 && operation != .average {
      expected = sources[0]
      return
    }
    expected = sources[0].indices.map { index in
      let operands = sources.enumerated().map { number, source in
        let value = Element.widened(source[index])
        return (divided?[number] ?? 0) != 0 ? Element.divided(value, by: divisor) : value
      }
      let value = operands.dropFirst().reduce(operands[0]) { Element.combined(operation, $0, $1) }
      return Element.rounded(operation == .average && divided == nil ? Element.divided(value, by: divisor) : value)
    }
  }

  /// Calls the kernel of `variant` on the first `count` elements (all of them) and returns what is wrong, or nil.
  func run(_ variant: Int32, _ call: KernelCall, count: Int? = nil) -> String? {
    let count = count ?? expected.count
    let byteCount = count * MemoryLayout<Element.Bits>.size
    let memories = sources.enumerated().map { index, values in
      let offset = index == call.inPlace ? call.destinationOffset : (call.sourceOffset + index * 3) % 64
      let memory = GuardedMemory(byteCount: byteCount, misalignment: offset)
      values[..<count].withUnsafeBytes(memory.fill)
      return memory
    }
    let destination =
      call.inPlace.map { memories[$0] } ?? GuardedMemory(byteCount: byteCount, misalignment: call.destinationOffset)
    let second = call.second ? GuardedMemory(byteCount: byteCount, misalignment: call.secondOffset) : nil

    let pointers = memories.map { Optional(UnsafeRawPointer($0.start)) }
    let sourceCount = Int32(sources.count)
    if let number = operation.number {
      let kernel = tutti_combine_variant(variant, Element.dataType, number)!
      kernel(destination.start, second?.start, pointers, sourceCount, count, call.streaming)
    } else {
      let kernel = tutti_average_variant(variant, Element.dataType)!
      kernel(destination.start, second?.start, pointers, sourceCount, count, call.streaming, divisor, divided)
    }

    lazy var place = "\(Element.self) \(operation) (divisor \(divisor)), \(sources.count) sources of \(count), \(call)"
    if let wrong = firstWrong(destination, count) { return "destination \(wrong): \(place)" }
    if let second, let wrong = firstWrong(second, count) { return "second \(wrong): \(place)" }
    for (index, memory) in memories.enumerated() where index != call.inPlace {
      if !sources[index][..<count].withUnsafeBytes(memory.equals) { return "source \(index) changed: \(place)" }
    }
    if !(memories + [destination] + (second.map { [$0] } ?? [])).allSatisfy(\.guardsAreIntact) {
      return "bytes outside an array changed: \(place)"
    }
    return nil
  }

  private func firstWrong(_ memory: GuardedMemory, _ count: Int) -> String? {
    if expected[..<count].withUnsafeBytes(memory.equals) { return nil }
    for index in 0..<count {
      let found = memory.bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Element.Bits>.size, as: Element.Bits.self)
      // One source is a copy: then not even a NaN may change.
      let right =
        sources.count == 1 && operation != .average
        ? found == expected[index] : Element.matches(operation, found: found, expected: expected[index])
      if !right {
        let operands = sources.map { String($0[index], radix: 16) }.joined(separator: " ")
        return "element \(index) of \(operands): expected \(String(expected[index], radix: 16)), "
          + "found \(String(found, radix: 16))"
      }
    }
    return nil
  }
}

/// Stops a test at the first problem: a broken kernel has thousands.
func requireRight(_ problem: String?) throws {
  if let problem { throw WrongResult(description: "\(problem) (TUTTI_TEST_SEED=\(SeededGenerator.seed))") }
}

struct WrongResult: Error, CustomStringConvertible {
  let description: String
}

/// The variants this CPU runs. A test over all variants must call this, so that one that cannot run says so.
func requireSupport(_ variant: Int32) throws {
  if tutti_variant_supported(variant) == 0 {
    try Test.cancel("this CPU or its operating system does not run \(String(cString: tutti_variant_name(variant)))")
  }
}

let allVariants = Array(0..<tutti_variant_count())
