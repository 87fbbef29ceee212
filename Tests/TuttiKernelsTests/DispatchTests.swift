// Which kernels exist, which variant is chosen, and the copies.

import CTuttiKernels
import Testing

@Suite struct DispatchTests {
  @Test func theWidestSupportedVariantIsChosen() throws {
    let widest = try #require(allVariants.last { tutti_variant_supported($0) != 0 })
    for dataType in [TUTTI_INT32, TUTTI_INT64, TUTTI_FLOAT32, TUTTI_FLOAT64].map({ Int32($0) }) {
      for operation in KernelOperation.allCases {
        let chosen = try #require(tutti_combine(dataType, operation.number))
        let expected = try #require(tutti_combine_variant(widest, dataType, operation.number))
        #expect(unsafeBitCast(chosen, to: UInt.self) == unsafeBitCast(expected, to: UInt.self))
      }
    }
  }

  @Test func theBaselineRunsEverywhere() {
    #expect(tutti_variant_supported(0) != 0)
    #expect(String(cString: tutti_variant_name(0)) == "baseline")
  }

  @Test func reservedAndUnknownNumbersHaveNoKernel() {
    let existing = Set([TUTTI_INT32, TUTTI_INT64, TUTTI_FLOAT32, TUTTI_FLOAT64].map { Int32($0) })
    for dataType in Int32(-1)...Int32(TUTTI_DATA_TYPE_COUNT) {
      for operation in Int32(-1)...Int32(TUTTI_OPERATION_COUNT) {
        let exists = existing.contains(dataType) && KernelOperation.allCases.contains { $0.number == operation }
        #expect((tutti_combine(dataType, operation) != nil) == exists)
      }
    }
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
