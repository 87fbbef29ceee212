// Arrays of float32 to 16 bits and back.

import CTuttiKernels
import Testing

@Suite struct ConvertTests {
  /// Every number, exactly; and back without a change. The tail takes another path, so every length of one.
  @Test(arguments: allVariants) func everyNumberWidensAndNarrows(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: FloatingKernelElement>(_: Element.Type, _ type: Int) throws
    where Element.Bits == UInt16, Element.Value == Float {
      for length in [1, 7, 15, 16, 31, 63, 64, 65536] {
        for start in stride(from: 0, to: 65536, by: max(length, 4099)) {
          let stored = (0..<length).map { UInt16(truncatingIfNeeded: start + $0) }
          var widened = [Float](repeating: -1, count: length + 1)
          tutti_widen_variant(variant, Int32(type), &widened, stored, length)
          try #require(widened[length] == -1)
          var narrowed = [UInt16](repeating: 0xA5A5, count: length + 1)
          tutti_narrow_variant(variant, Int32(type), &narrowed, widened, length, 1)
          try #require(narrowed[length] == 0xA5A5)
          for index in 0..<length {
            let expected = Element.widened(stored[index])
            if expected.isNaN {
              try #require(widened[index].isNaN && Element.isNaN(narrowed[index]))
            } else {
              try #require(widened[index].bitPattern == expected.bitPattern && narrowed[index] == stored[index])
            }
          }
        }
      }
    }
    try check(Float16.self, Int(TUTTI_FLOAT16))
    try check(BrainFloat.self, Int(TUTTI_BFLOAT16))
  }

  /// Random bits, which reach every exponent, ties and what is next to them, NaNs whose payload is in the low half; scaled.
  @Test(arguments: allVariants) func narrowingRoundsToNearestEven(variant: Int32) throws {
    try requireSupport(variant)
    var generator = SeededGenerator(seed: SeededGenerator.seed &+ 17)
    var bits = (0..<100_000).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
    for index in stride(from: 0, to: bits.count, by: 3) { bits[index] = bits[index] & 0xFFFF_8000 }
    for index in stride(from: 1, to: bits.count, by: 3) { bits[index] = 0x3F00_0000 &+ bits[index] & 0x83FF_F000 }
    bits[0] = 0x7F80_0001
    bits[1] = 0xFFFF_FFFF
    func check<Element: FloatingKernelElement>(_: Element.Type, _ type: Int) throws
    where Element.Bits == UInt16, Element.Value == Float {
      let values = bits.map { Float(bitPattern: $0) }
      for scale in [1, 0.5, 1 / Float(3)] {
        var narrowed = [UInt16](repeating: 0, count: values.count)
        tutti_narrow_variant(variant, Int32(type), &narrowed, values, values.count, scale)
        for (value, result) in zip(values, narrowed) {
          let expected = Element.rounded(value * scale)
          try #require(
            value.isNaN ? Element.isNaN(result) : result == expected, "\(value) x \(scale): \(result), not \(expected)")
        }
      }
    }
    try check(Float16.self, Int(TUTTI_FLOAT16))
    try check(BrainFloat.self, Int(TUTTI_BFLOAT16))
  }
}
