// Sums of contributions that each rank multiplies by a factor of its own.

import CTuttiKernels
import TuttiEngine
import TuttiSchedule
import TuttiSystem

extension Communicator {
  /// Starts an all-reduce of the sum of `factor x input` over all ranks: NCCL's pre-multiplied sum.
  ///
  /// Each contribution is multiplied and rounded to the type before it is summed, so the sum overflows only where that
  /// of the products does. For averages use `.average`, which rounds less.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`, of a floating-point type. In place, it changes as soon as this is called.
  ///   - output: Shape `[count]`, apart from `input` or the same; nil for in place.
  ///   - factor: This rank's; ranks may have different ones. It is rounded to float32, unless the elements are float64.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  /// - SeeAlso: `ncclRedOpCreatePreMulSum`.
  public func startAllReduce(
    _ input: RawMemory, to output: RawMemory? = nil, scaledBy factor: Double, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    let output = output ?? input
    try checkScaling(of: input.type)
    let call = CollectiveCall(
      collective: .allReduce, input: input, output: output, algorithm: algorithm, timeout: timeout)
    return try start(call) { request in
      let products = request.output
      multiply(request.input, Int(request.key.count), input.type, by: factor, into: products)
      request.move(to: products, products)
      return nil
    }
  }

  /// Starts a reduce-scatter of the sum of `factor x input` over all ranks.
  ///
  /// - Parameters:
  ///   - input: Shape: all ranks' blocks one after the other, of a floating-point type. It stays as it is: a copy is scaled.
  ///   - output: Shape: this rank's block.
  ///   - factor: This rank's; ranks may have different ones.
  ///   - blocks: How the elements are divided.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduceScatter(
    _ input: RawMemory, to output: RawMemory, scaledBy factor: Double, blocks: BlockSizes = .equal,
    algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try checkScaling(of: input.type)
    let call = CollectiveCall(
      collective: .reduceScatter, input: input, output: output, blocks: blocks, algorithm: algorithm, timeout: timeout)
    return try start(call) { request in
      // As the gate counts them: where there are none, nobody has looked at the input.
      let count = Int(request.blocks?.reduce(0, +) ?? request.key.count * UInt64(rankCount))
      let scratch = TuttiBuffer<UInt8>(count: count * input.type.size, repeating: 0)
      let products = UnsafeMutableRawPointer(scratch.pointer.baseAddress.unsafelyUnwrapped)
      multiply(request.input, count, input.type, by: factor, into: products)
      // In place, the request's output is the whole input.
      request.move(to: products, output.address ?? Self.nowhere)
      return scratch
    }
  }

  private func checkScaling(of type: DataType) throws(TuttiError) {
    if !type.isInteger { return }
    throw TuttiError(
      refused("a sum of scaled \(type) is not defined", "Scale the values in a floating-point type, or use a plain sum"))
  }

  /// Multiplies elements, which may lie where the products go.
  private func multiply(
    _ source: UnsafeRawPointer, _ count: Int, _ type: DataType, by factor: Double, into output: UnsafeMutableRawPointer
  ) {
    switch type {
    case .float64:
      for offset in stride(from: 0, to: count * 8, by: 8) {
        let value = source.loadUnaligned(fromByteOffset: offset, as: Double.self)
        output.storeBytes(of: value * factor, toByteOffset: offset, as: Double.self)
      }
    case .float32:
      let factor = Float(factor)
      for offset in stride(from: 0, to: count * 4, by: 4) {
        let value = source.loadUnaligned(fromByteOffset: offset, as: Float.self)
        output.storeBytes(of: value * factor, toByteOffset: offset, as: Float.self)
      }
    default: multiplyHalves(source, count, type, by: Float(factor), into: output)
    }
  }

  /// Multiplies float16 or bfloat16 numbers in float32, a few at a time.
  private func multiplyHalves(
    _ source: UnsafeRawPointer, _ count: Int, _ type: DataType, by factor: Float, into output: UnsafeMutableRawPointer
  ) {
    let type = Int32(type.rawValue)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 1024) { wide in
      guard let numbers = wide.baseAddress else { return }
      for first in stride(from: 0, to: count, by: wide.count) {
        let some = min(wide.count, count - first)
        tutti_widen(type, numbers, source + 2 * first, some)
        tutti_narrow(type, output + 2 * first, numbers, some, factor)
      }
    }
  }
}
