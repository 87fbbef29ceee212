import CTuttiKernels
import TuttiSchedule

// Combines of three or more operands that are folded as a tree of combines of two.

extension StepContext {
  /// Folds the operands of the combine in hand, block by block, so that partial results stay in the cache. The last
  /// combine of each block writes the destination, which may be one of the operands: all others have been read by
  /// then.
  ///
  /// - Parameters:
  ///   - size: Bytes to fold, from where the operands' addresses are.
  ///   - divisions: For each operand, whether an average divides it as it enters; nil to divide the whole sum where the
  ///     combine completes an average.
  @inline(never)
  func foldBalanced(
    _ operands: Operands, _ destination: UnsafeMutableRawPointer, _ second: UnsafeMutableRawPointer?, _ size: Int,
    _ flags: Int32, _ divisions: UnsafePointer<UInt8>?
  ) {
    let reduction = operation.pointee.reduction
    let memory = slot.pointee.scratch + tables.pointee.foldOffset
    let pair = memory.assumingMemoryBound(to: UnsafeRawPointer?.self)
    let blocks = memory + PlanTables.foldHeadBytes
    var offset = 0
    while offset < size {
      let blockBytes = min(PlanTables.foldBlockBytes, size - offset)
      let count = blockBytes / operation.pointee.elementBytes
      var fold = BalancedFold(operandCount: operands.count)
      while let next = fold.next() {
        pair[0] = address(ofOperand: next.left, offset, blocks)
        pair[1] = address(ofOperand: next.right, offset, blocks)
        let result = next.isLast ? destination + offset : blocks + ~next.result * PlanTables.foldBlockBytes
        let also = next.isLast ? second.map { $0 + offset } : nil
        let flags = next.isLast ? flags : Int32(TUTTI_STREAM_NOTHING)
        if let average = reduction.pointee.average, let divisions {
          var divided = (
            next.left >= 0 ? divisions[next.left] : 0 as UInt8, next.right >= 0 ? divisions[next.right] : 0 as UInt8
          )
          withUnsafeBytes(of: &divided) {
            average(
              result, also, pair, 2, count, flags, operation.pointee.divisor,
              $0.assumingMemoryBound(to: UInt8.self).baseAddress)
          }
        } else if next.isLast && step.pointee.completes, let average = reduction.pointee.average {
          average(result, also, pair, 2, count, flags, operation.pointee.divisor, nil)
        } else {
          reduction.pointee.combine(result, also, pair, 2, count, flags)
        }
      }
      offset += blockBytes
    }
  }

  /// Where a part of an operand is, or a block.
  @inline(__always)
  private func address(ofOperand operand: Int, _ offset: Int, _ blocks: UnsafeMutableRawPointer) -> UnsafeRawPointer {
    operand >= 0
      ? core.pointee.sources[operand].unsafelyUnwrapped + offset
      : UnsafeRawPointer(blocks + ~operand * PlanTables.foldBlockBytes)
  }
}
