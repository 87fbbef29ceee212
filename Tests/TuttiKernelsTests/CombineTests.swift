// Every combine of every variant against the reference: all counts around the vector widths, all source counts, all
// ways to store, every misalignment, every pair of special values.

import CTuttiKernels
import Testing

@Suite struct CombineTests {
  /// What is combined of bools is 0 or 1, whatever byte stood for true.
  @Test(arguments: allVariants) func boolsAreZeroOrOne(variant: Int32) throws {
    try requireSupport(variant)
    let (a, b) = ((0..<500).map { UInt8($0 % 251) }, (0..<500).map { UInt8($0 % 7 * 40) })
    for operation in KernelOperation.ofIntegers {
      let number = try #require(operation.number)
      let combine = try #require(tutti_combine_variant(variant, Int32(TUTTI_BOOL), number))
      for count in [1, 3, 4, 5, 100, 500] {
        var result = [UInt8](repeating: 9, count: count)
        a.withUnsafeBytes { a in
          b.withUnsafeBytes { b in combine(&result, nil, [a.baseAddress, b.baseAddress], 2, count, 0) }
        }
        for index in 0..<count {
          #expect(result[index] == (Truth.combined(operation, a[index] != 0, b[index] != 0) ? 1 : 0))
        }
      }
    }
  }

  /// Every source count, every count up to several vectors, and some that end in every kind of loop.
  @Test(arguments: allVariants) func everyCount(variant: Int32) throws {
    try requireSupport(variant)
    let counts = Array(0...70) + Array(stride(from: 77, to: 640, by: 17)) + [1000, 1099]
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed)
      for operation in Element.operations {
        for sourceCount in [1, 2, 3, 4, 5, 6, 7, 8, 33] {
          // More than three sources differ from three only in how often a loop runs: fewer counts will do.
          let few = sourceCount > 3
          let kernelCase = KernelCase<Element>(
            operation: operation, sourceCount: sourceCount, count: few ? 350 : 1099, using: &generator)
          for count in counts where !few || (count <= 350 && count % 5 == sourceCount % 5) {
            // Every way to store meets every count with some source count.
            for ways in [count + sourceCount, count + sourceCount + 3] {
              let call = KernelCall(
                destinationOffset: (ways & 4) == 0 ? 0 : MemoryLayout<Element.Bits>.size, sourceOffset: count % 7,
                streaming: Int32(ways % 3), second: ways & 2 != 0)
              try requireRight(kernelCase.run(variant, call, count: count))
            }
          }
        }
      }
    }
    for element in allElements { try check(element) }
  }

  /// No alignment is required of anything, not even to the element.
  @Test(arguments: allVariants) func everyMisalignment(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 1)
      let shapes = [(0, 2, 67), (2, 3, 300), (3, 2, 5), (0, 2, 1024), (4, 2, 200)]
      for (operation, sourceCount, count) in shapes {
        let kernelCase = KernelCase<Element>(
          operation: Element.operations[operation], sourceCount: sourceCount, count: count, using: &generator)
        for destinationOffset in 0...9 {
          for secondOffset in 0...9 {
            for streaming in Int32(0)...2 {
              let call = KernelCall(
                destinationOffset: destinationOffset, secondOffset: secondOffset,
                sourceOffset: (destinationOffset * 7 + secondOffset) % 10, streaming: streaming, second: secondOffset > 0)
              try requireRight(kernelCase.run(variant, call))
            }
          }
        }
      }
    }
    for element in allElements { try check(element) }
  }

  /// The destination may be any one of the sources.
  @Test(arguments: allVariants) func inPlace(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 2)
      for operation in Element.operations {
        for sourceCount in 1...5 {
          let kernelCase = KernelCase<Element>(
            operation: operation, sourceCount: sourceCount, count: 1000, using: &generator)
          for count in [1, 2, 4, 5, 17, 63, 64, 65, 255, 1000] {
            for place in 0..<sourceCount {
              for bits in 0..<6 {
                let call = KernelCall(
                  destinationOffset: count % 5 * 4, streaming: Int32(bits % 3), inPlace: place, second: bits >= 3)
                try requireRight(kernelCase.run(variant, call, count: count))
              }
            }
          }
        }
      }
    }
    for element in allElements { try check(element) }
  }

  /// Every ordered pair of edge values meets, in every lane of a vector, and swapping the operands changes no bit.
  @Test(arguments: allVariants) func everyPairOfEdges(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) throws {
      let pairs = Element.edges.flatMap { a in Element.edges.map { b in (a, b) } }
      for operation in Element.operations {
        let forward = KernelCase<Element>(operation: operation, sources: [pairs.map(\.0), pairs.map(\.1)])
        let backward = KernelCase<Element>(operation: operation, sources: [pairs.map(\.1), pairs.map(\.0)])
        #expect(
          zip(forward.expected, backward.expected).allSatisfy { Element.matches(operation, found: $0, expected: $1) })
        // The loops begin where the destination is aligned, so its offset decides which pair is in which lane.
        for offset in stride(from: 0, to: 64, by: MemoryLayout<Element.Bits>.size) {
          let call = KernelCall(destinationOffset: offset, streaming: 1)
          try requireRight(forward.run(variant, call))
          try requireRight(backward.run(variant, call))
        }
      }
    }
    for element in allElements { try check(element) }
  }
}
