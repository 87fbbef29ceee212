import TuttiSystem

// The errors of calls that are refused. A refusal changes nothing, and the communicator goes on. Each is a function of its
// own, so that the code of calls that are not refused stays short.

extension Communicator {
  @inline(never)
  func overlapping(_ advice: String? = nil) -> FailureReport {
    refused(
      "input and output overlap", advice ?? "Give the same memory, so that the call is in place, or memory apart from it")
  }

  @inline(never)
  func undefined(_ operation: ReduceOp, _ type: DataType) -> FailureReport {
    refused(
      "\(operation) is not defined for \(type)",
      operation == .average
        ? "Use sum and divide, in a floating-point type if the fraction matters"
        : "Bitwise operations are for integers and bool")
  }

  @inline(never)
  func wrongMemory(_ memory: RawMemory?, _ count: Int, _ type: DataType, _ name: String) -> FailureReport {
    guard let memory, memory.address != nil else {
      return refused("the \(name) of \(count * type.size) bytes is nil on rank \(rank)", "Give this rank memory for it")
    }
    if memory.type != type {
      return refused("the input has elements of \(type), and the \(name) of \(memory.type)", "Give both the same type")
    }
    return refused(
      "the \(name) has \(memory.count) elements on rank \(rank), and the call needs \(count)", "Give it \(count) elements")
  }

  @inline(never)
  func badCount(_ count: Int) -> FailureReport {
    refused(
      "\(count) is not a valid count of elements for a call",
      "Counts are not negative, and those of all blocks add up to at most \(Self.countMax)"
    )
  }

  /// The refusal of a Swift type whose elements have another size than the ``DataType`` that it claims to be.
  @inline(never)
  func badLayout(_ type: DataType) -> FailureReport {
    refused(
      "the elements claim to be \(type), but are not \(type.size) bytes long", "Correct their conformance to TuttiElement")
  }

  /// The refusal of a call: it changes nothing, and the communicator goes on.
  func refused(_ message: String, _ advice: String) -> FailureReport {
    FailureReport(.invalidArgument, rank: rank, message, advice: advice)
  }
}
