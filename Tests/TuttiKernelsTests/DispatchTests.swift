// Which kernels exist, which variant is chosen, and the copies.

import CTuttiKernels
import Testing

@Suite struct DispatchTests {
  @Test func theWidestSupportedVariantIsChosen() throws {
    let widest = try #require(allVariants.last { tutti_variant_supported($0) != 0 })
    for element in allElements {
      for operation in element.operations {
        if let number = operation.number {
          let chosen = try #require(tutti_combine(element.dataType, number))
          let expected = try #require(tutti_combine_variant(widest, element.dataType, number))
          #expect(unsafeBitCast(chosen, to: UInt.self) == unsafeBitCast(expected, to: UInt.self))
        } else {
          let chosen = try #require(tutti_average(element.dataType))
          let expected = try #require(tutti_average_variant(widest, element.dataType))
          #expect(unsafeBitCast(chosen, to: UInt.self) == unsafeBitCast(expected, to: UInt.self))
        }
      }
    }
  }

  @Test func theBaselineRunsEverywhere() {
    #expect(tutti_variant_supported(0) != 0)
    #expect(String(cString: tutti_variant_name(0)) == "baseline")
  }

  @Test func everyPairThatMakesSenseHasAKernel() {
    #expect(allElements.map { $0.dataType }.sorted() == Array(0..<Int32(TUTTI_DATA_TYPE_COUNT)))
    for variant in allVariants {
      for element in allElements {
        let numbers = Set(element.operations.compactMap { $0.number })
        for operation in Int32(-1)...Int32(TUTTI_OPERATION_COUNT) {
          #expect((tutti_combine_variant(variant, element.dataType, operation) != nil) == numbers.contains(operation))
        }
        let averages = element.operations.contains(.average)
        #expect((tutti_average_variant(variant, element.dataType) != nil) == averages)
      }
    }
  }

  @Test func unknownNumbersHaveNoKernel() {
    for dataType in [-1, Int32(TUTTI_DATA_TYPE_COUNT)] {
      #expect(tutti_combine(dataType, Int32(TUTTI_SUM)) == nil)
      #expect(tutti_average(dataType) == nil)
    }
    #expect(tutti_combine(Int32(TUTTI_FLOAT32), -1) == nil)
    #expect(tutti_combine(Int32(TUTTI_FLOAT32), Int32(TUTTI_OPERATION_COUNT)) == nil)
    #expect(tutti_average_variant(-1, Int32(TUTTI_FLOAT32)) == nil)
    #expect(tutti_average_variant(tutti_variant_count(), Int32(TUTTI_FLOAT32)) == nil)
    #expect(tutti_combine_variant(-1, Int32(TUTTI_FLOAT32), Int32(TUTTI_SUM)) == nil)
    #expect(tutti_combine_variant(tutti_variant_count(), Int32(TUTTI_FLOAT32), Int32(TUTTI_SUM)) == nil)
    #expect(tutti_variant_name(-1) == nil)
    #expect(tutti_variant_supported(tutti_variant_count()) == 0)
  }

  @Test(arguments: allVariants) func streamingCopies(variant: Int32) throws {
    try requireSupport(variant)
    checkCopies { destination, source, bytes in tutti_copy_variant(variant, destination, source, bytes) }
  }

  @Test(arguments: [Int32(0), 1]) func copies(streaming: Int32) {
    checkCopies { destination, source, bytes in tutti_copy(destination, source, bytes, streaming) }
  }

  private func checkCopies(_ copy: (UnsafeMutableRawPointer, UnsafeRawPointer, Int) -> Void) {
    for byteCount in Array(0...70) + [127, 128, 255, 256, 257, 319, 320, 1000, 4099] {
      for misalignment in [0, 1, 2, 4, 8, 9, 16, 31, 32, 63] {
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
        let source = GuardedMemory(byteCount: byteCount, misalignment: (misalignment * 5) % 64)
        let destination = GuardedMemory(byteCount: byteCount, misalignment: misalignment)
        bytes.withUnsafeBytes(source.fill)
        copy(destination.start, source.start, byteCount)
        #expect(bytes.withUnsafeBytes(destination.equals), "\(byteCount) bytes at \(misalignment)")
        #expect(bytes.withUnsafeBytes(source.equals))
        #expect(source.guardsAreIntact && destination.guardsAreIntact)
      }
    }
  }
}
