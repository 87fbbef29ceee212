import TuttiSchedule

/// Combines of three or more operands that are folded as a tree of combines of two.
extension Engine {
  /// Folds the operands of the combine in hand, block by block, so that partial results stay in the cache. The last combine of each block
  /// writes the destination, which may be one of the operands: all others have been read by then.
  ///
  /// - Parameter divisions: For each operand, whether an average divides it as it enters; nil to divide the whole sum
  ///   where the combine completes an average.
  @inline(never)
  func foldBalanced(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<CompiledStep>,
    _ destination: UnsafeMutableRawPointer, _ second: UnsafeMutableRawPointer?, _ sourceCount: Int, _ bytes: Int,
    _ streaming: Int32, _ divisions: UnsafePointer<UInt8>?
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
        let result = next.isLast ? destination + offset : blocks + ~next.result * PlanTables.foldBlockBytes
        let also = next.isLast ? second.map { $0 + offset } : nil
        let flags = next.isLast ? streaming : 0
        if let average = operation.pointee.average, let divisions {
          var divided = (
            next.left >= 0 ? divisions[next.left] : 0 as UInt8, next.right >= 0 ? divisions[next.right] : 0 as UInt8
          )
          withUnsafeBytes(of: &divided) {
            average(
              result, also, pair, 2, count, flags, operation.pointee.divisor,
              $0.assumingMemoryBound(to: UInt8.self).baseAddress)
          }
        } else if next.isLast && step.pointee.completes, let average = operation.pointee.average {
          average(result, also, pair, 2, count, flags, operation.pointee.divisor, nil)
        } else {
          operation.pointee.combine(result, also, pair, 2, count, flags)
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
