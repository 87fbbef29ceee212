// Kernels give the same bits whatever the caller did to the floating-point control register, and leave it as it was.

import CTuttiKernels
import Testing

@Suite struct FloatControlTests {
  static let changes = [
    UInt64(TUTTI_FLOAT_CONTROL_FLUSH), UInt64(TUTTI_FLOAT_CONTROL_UPWARD),
    UInt64(TUTTI_FLOAT_CONTROL_FLUSH | TUTTI_FLOAT_CONTROL_UPWARD),
  ]
  /// Exception flags, which any arithmetic may raise.
  #if arch(x86_64)
    static let flags: UInt64 = 0x3f
  #else
    static let flags: UInt64 = 0
  #endif

  @Test(arguments: allVariants) func resultsDoNotDependOnIt(variant: Int32) throws {
    try requireSupport(variant)
    func check<Element: KernelElement>(_: Element.Type) {
      var generator = SeededGenerator(seed: SeededGenerator.seed &+ 3)
      for operation in Element.operations {
        for count in [1, 2, 4, 5, 64, 1000] {
          let kernelCase = KernelCase<Element>(operation: operation, sourceCount: 2, count: count, using: &generator)
          for change in Self.changes {
            let callers = tutti_float_control()
            tutti_set_float_control(callers | change)
            let problem = kernelCase.run(variant, KernelCall(second: true))
            let after = tutti_float_control()
            tutti_set_float_control(callers)
            #expect(problem == nil, "control register | \(String(change, radix: 16)), seed \(SeededGenerator.seed)")
            #expect(after & ~Self.flags == (callers | change) & ~Self.flags)
          }
        }
      }
    }
    for element in floatingElements { check(element) }
  }

  /// The test above proves something only if the change would show: plain additions under it differ.
  @Test func theChangesWouldShow() {
    let callers = tutti_float_control()
    tutti_set_float_control(callers | UInt64(TUTTI_FLOAT_CONTROL_FLUSH))
    let flushed = opaqueSum(Float.leastNormalMagnitude / 2, Float.leastNonzeroMagnitude)
    tutti_set_float_control(callers | UInt64(TUTTI_FLOAT_CONTROL_UPWARD))
    let upward = opaqueSum(1, Float.leastNonzeroMagnitude)
    tutti_set_float_control(callers)
    #expect(flushed == 0)
    #expect(upward > 1)
  }

  @inline(never) private func opaqueSum(_ a: Float, _ b: Float) -> Float { a + b }
}
