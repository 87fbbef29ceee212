import TuttiSchedule

/// Combines of three or more operands that are folded as a tree of combines of two.
extension Engine {
  /// Folds the operands of the combine in hand, block by block, so that partial results stay in the cache. The last combine of each block
  /// writes the destination, which may be one of the operands: all others have been read by then.
  @inline(never)
  func foldBalanced(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ destination: UnsafeMutableRawPointer, _ second: UnsafeMutableRawPointer?, _ sourceCount: Int, _ bytes: Int,
    _ streaming: Int32
  ) {
    let operation = slot.pointee.operation
    let sources = core.pointee.sources
    let memory = slot.pointee.scratch + operation.pointee.tables.pointee.foldOffset
    let pair = memory.assumingMemoryBound(to: UnsafeRawPointer?.self)
    let blocks = memory + PlanTables.foldHeadBytes
    var offset = 0
    while offset < bytes {
      let size = min(PlanTables.foldBlockBytes, bytes - offset)
      let count = size / operation.pointee.elementBytes
      var fold = BalancedFold(operandCount: sourceCount)
      while let next = fold.next() {
        pair[0] = address(next.left, sources, offset, blocks)
        pair[1] = address(next.right, sources, offset, blocks)
        if !next.isLast {
          operation.pointee.combine(blocks + ~next.result * PlanTables.foldBlockBytes, nil, pair, 2, count, 0)
        } else if step.pointee.completes, let average = operation.pointee.average {
          average(
            destination + offset, second.map { $0 + offset }, pair, 2, count, streaming, operation.pointee.divisor)
        } else {
          operation.pointee.combine(destination + offset, second.map { $0 + offset }, pair, 2, count, streaming)
        }
      }
      offset += size
    }
  }

  /// Where a part of an operand is, or a block.
  @inline(__always)
  private func address(
    _ operand: Int, _ sources: UnsafeMutablePointer<UnsafeRawPointer?>, _ offset: Int, _ blocks: UnsafeMutableRawPointer
  ) -> UnsafeRawPointer {
    operand >= 0
      ? sources[operand].unsafelyUnwrapped + offset : UnsafeRawPointer(blocks + ~operand * PlanTables.foldBlockBytes)
  }
}
