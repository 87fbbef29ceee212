// Every combine of every variant against the reference: all counts around the vector widths, all source counts, all
// ways to store, every misalignment, every pair of special values.

import CTuttiKernels
import Testing

@Suite struct CombineTests {
  /// Every source count and every count up to several vectors, then some that end in every kind of loop.
  @Test(arguments: allVariants) func everyCount(variant: Int32) throws {
    try requireSupport(variant)
    let counts = Array(0...70) + [255, 1000, 4099]
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed)
      for operation in KernelOperation.allCases {
        for sourceCount in 1...9 {
          for count in counts {
            let kernelCase = KernelCase<Element>(
              operation: operation, sourceCount: sourceCount, count: count, using: &generator)
            for bits in 0..<8 {
              let call = KernelCall(
                destinationOffset: (bits & 4) == 0 ? 0 : MemoryLayout<Element.Bits>.size, sourceOffset: count % 7,
                streaming: bits & 1 != 0, second: bits & 2 != 0)
              try requireRight(kernelCase.run(variant, call))
            }
          }
        }
      }
    }
    try check(Int32.self)
    try check(Int64.self)
    try check(Float.self)
    try check(Double.self)
  }

  /// No alignment is required of anything, not even to the element.
  @Test(arguments: allVariants) func everyMisalignment(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 1)
      for (operation, sourceCount, count) in [(KernelOperation.sum, 2, 67), (.min, 3, 300), (.max, 2, 5), (.sum, 2, 1024)] {
        let kernelCase = KernelCase<Element>(
          operation: operation, sourceCount: sourceCount, count: count, using: &generator)
        for destinationOffset in 0...9 {
          for secondOffset in 0...9 {
            for streaming in [false, true] {
              let call = KernelCall(
                destinationOffset: destinationOffset, secondOffset: secondOffset,
                sourceOffset: (destinationOffset * 7 + secondOffset) % 10, streaming: streaming, second: secondOffset > 0)
              try requireRight(kernelCase.run(variant, call))
            }
          }
        }
      }
    }
    try check(Int32.self)
    try check(Int64.self)
    try check(Float.self)
    try check(Double.self)
  }

  /// The destination may be any one of the sources.
  @Test(arguments: allVariants) func inPlace(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 2)
      for operation in KernelOperation.allCases {
        for sourceCount in 1...5 {
          for count in [1, 2, 4, 5, 17, 63, 64, 65, 255, 1000] {
            let kernelCase = KernelCase<Element>(
              operation: operation, sourceCount: sourceCount, count: count, using: &generator)
            for place in 0..<sourceCount {
              for bits in 0..<4 {
                let call = KernelCall(
                  destinationOffset: count % 5 * 4, streaming: bits & 1 != 0, inPlace: place, second: bits & 2 != 0)
                try requireRight(kernelCase.run(variant, call))
              }
            }
          }
        }
      }
    }
    try check(Int32.self)
    try check(Int64.self)
    try check(Float.self)
    try check(Double.self)
  }

  /// Every ordered pair of edge values meets, in every lane of a vector, and swapping the operands changes no bit.
  @Test(arguments: allVariants) func everyPairOfEdges(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      let pairs = Element.edges.flatMap { a in Element.edges.map { b in (a, b) } }
      for operation in KernelOperation.allCases {
        for rotation in 0..<16 {
          let rotated = Array(pairs[rotation...] + pairs[..<rotation])
          let forward = KernelCase<Element>(operation: operation, sources: [rotated.map(\.0), rotated.map(\.1)])
          let backward = KernelCase<Element>(operation: operation, sources: [rotated.map(\.1), rotated.map(\.0)])
          #expect(
            zip(forward.expected, backward.expected).allSatisfy { Element.matches(operation, found: $0, expected: $1) })
          try requireRight(forward.run(variant, KernelCall()))
          try requireRight(backward.run(variant, KernelCall()))
        }
      }
    }
    try check(Int32.self)
    try check(Int64.self)
    try check(Float.self)
    try check(Double.self)
  }

  /// Stops at the first problem: a broken kernel has thousands.
  private func requireRight(_ problem: String?) throws {
    if let problem { throw WrongResult(description: "\(problem) (TUTTI_TEST_SEED=\(SeededGenerator.seed))") }
  }

  private struct WrongResult: Error, CustomStringConvertible {
    let description: String
  }
}
