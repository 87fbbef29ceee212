// Conversions of float16 and bfloat16: every bit pattern, and every kind of rounding.

import CTuttiKernels
import Testing

@Suite struct HalfTests {
  private static let all = (0...UInt16.max).map { $0 }

  /// Multiplied by 1, every number converts to float32 and back and stays what it is.
  @Test(arguments: allVariants) func everyNumberSurvives(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: FloatingKernelElement>(_: Element.Type) throws where Element.Bits == UInt16 {
      let one = [UInt16](repeating: Element.one, count: Self.all.count)
      let identity = KernelCase<Element>(operation: .product, sources: [Self.all, one])
      for (number, result) in zip(Self.all, identity.expected) {
        if Element.isNaN(number) ? !Element.isNaN(result) : number != result {
          throw WrongResult(description: "the reference turns \(number) into \(result)")
        }
      }
      try requireRight(identity.run(variant, KernelCall()))
    }
    try check(Float16.self)
    try check(BrainFloat.self)
  }

  /// Every number meets every distance from it, in part: sums round near the larger operand, products give all the bits
  /// float32 has, and with them overflow, underflow and halfway cases.
  @Test(arguments: allVariants) func everyNumberMeetsOthers(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: FloatingKernelElement>(_: Element.Type) throws where Element.Bits == UInt16 {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 4)
      for operation in [KernelOperation.sum, .product, .average, .min] {
        let key = UInt16(truncatingIfNeeded: generator.next()) | 1  // odd: a permutation
        let others = Self.all.map { $0 &* key &+ key }
        try requireRight(KernelCase<Element>(operation: operation, sources: [Self.all, others]).run(variant, KernelCall()))
      }
    }
    try check(Float16.self)
    try check(BrainFloat.self)
  }

  /// An average that divides some of its sources as they enter, and not their sum: every choice of up to four, in every
  /// kind of loop and way to store.
  @Test(arguments: allVariants) func sourcesDividedAsTheyEnter(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: FloatingKernelElement>(_: Element.Type) throws where Element.Bits == UInt16 {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 5)
      for sourceCount in 1...4 {
        let values = KernelCase<Element>(operation: .average, sourceCount: sourceCount, count: 350, using: &generator)
        for choice in 0..<(1 << sourceCount) {
          // Any byte but 0 says yes.
          let divided = (0..<sourceCount).map { UInt8(choice >> $0 & 1) << UInt8(($0 + choice) % 8) }
          let kernelCase = KernelCase<Element>(
            operation: .average, sources: values.sources, divisor: values.divisor, divided: divided)
          for count in [1, 5, 16, 33, 350] {
            let call = KernelCall(
              destinationOffset: choice % 3 * 2, streaming: Int32((choice + count) % 3), second: choice % 2 == 1)
            try requireRight(kernelCase.run(variant, call, count: count))
          }
        }
      }
    }
    try check(Float16.self)
    try check(BrainFloat.self)
  }

  /// A number, half a unit of its last place, and nothing or a little on either side: ties go to even, and what is
  /// next to a tie goes to its nearer neighbour. The sum of the three is exact in float32, so it would show if it
  /// were rounded twice.
  @Test(arguments: allVariants) func halfwayCases(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: FloatingKernelElement>(_: Element.Type) throws where Element.Bits == UInt16, Element.Value == Float {
      // Numbers whose units, halved and divided by 256, are numbers still.
      let leastUnit = Element.widened(1) * 512
      let numbers = Self.all.filter {
        let value = Element.widened($0).magnitude
        return value.isFinite && value >= leastUnit * Float(1 << Element.significandBits)
      }
      #expect(numbers.count > 10_000)
      let halves = numbers.map { number in
        let value = Element.widened(number)
        let exponent = Float(sign: value.sign, exponent: value.exponent, significand: 1)
        return exponent / Float(2 << Element.significandBits)
      }
      for nudge in [0, 1 / Float(256), -1 / Float(256)] {
        let sources = [numbers, halves.map(Element.rounded), halves.map { Element.rounded($0 * nudge) }]
        let kernelCase = KernelCase<Element>(operation: .sum, sources: sources)
        for (index, number) in numbers.enumerated() {
          let expected = nudge > 0 || (nudge == 0 && number % 2 == 1) ? number + 1 : number
          if kernelCase.expected[index] != expected {
            throw WrongResult(
              description: "the reference rounds \(number), half and \(nudge) to \(kernelCase.expected[index])")
          }
        }
        try requireRight(kernelCase.run(variant, KernelCall()))
      }
    }
    try check(Float16.self)
    try check(BrainFloat.self)
  }
}
