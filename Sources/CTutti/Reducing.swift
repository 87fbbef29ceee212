// The collectives that combine data, and the barrier, as C programs call them.

import CTuttiHeader
import Tutti

@c @implementation
public func tutti_all_reduce(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ op: tutti_op, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  if work != nil || options != nil { return allReduceAsSet(comm, input, output, count, type, op, options, work) }
  // Small ones cost little more than the call, so nothing else is in this function: see `Benchmarks/c-call`.
  return call(comm) { (communicator) throws(TuttiError) in
    try communicator.runAllReduce(
      UnsafeMutableRawPointer(mutating: input), output, count, try DataType(type), try ReduceOp(op), .automatic, nil)
  }
}

/// Makes an all-reduce that is started, or has settings of its own.
@inline(never)
private func allReduceAsSet(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ op: tutti_op, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  if work != nil {
    return run(comm, options, work) { (_) throws(TuttiError) in
      let (type, operation) = (try DataType(type), try ReduceOp(op))
      return CollectiveCall(
        collective: .allReduce, input: RawMemory(input, count: count, type: type),
        output: RawMemory(output, count: count, type: type), operation: operation)
    }
  }
  return call(comm) { (communicator) throws(TuttiError) in
    let settings = try CallSettings(options)
    try communicator.runAllReduce(
      UnsafeMutableRawPointer(mutating: input), output, count, try DataType(type), try ReduceOp(op), settings.algorithm,
      settings.timeout)
  }
}

@c @implementation
public func tutti_reduce(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ op: tutti_op, _ root: Int32, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (_) throws(TuttiError) in
    let (type, operation) = (try DataType(type), try ReduceOp(op))
    return CollectiveCall(
      collective: .reduce, input: RawMemory(input, count: count, type: type),
      output: RawMemory(output, count: count, type: type), operation: operation, root: Int(root))
  }
}

@c @implementation
public func tutti_reduce_scatter(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ op: tutti_op, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let (type, operation) = (try DataType(type), try ReduceOp(op))
    let whole = try wholeCount(count, of: communicator)
    return CollectiveCall(
      collective: .reduceScatter, input: RawMemory(input, count: whole, type: type),
      output: RawMemory(output, count: count, type: type), operation: operation)
  }
}

@c @implementation
public func tutti_reduce_scatter_v(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ counts: UnsafePointer<Int>?,
  _ type: tutti_type, _ op: tutti_op, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let (type, operation) = (try DataType(type), try ReduceOp(op))
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    return CollectiveCall(
      collective: .reduceScatter, input: RawMemory(input, count: blocks.total, type: type),
      output: RawMemory(output, count: blocks.counts[communicator.rank], type: type), blocks: blocks.blocks,
      operation: operation)
  }
}

@c @implementation
public func tutti_barrier(
  _ comm: OpaquePointer?, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let settings = try CallSettings(options)
    if let work {
      work.pointee = tutti_work(
        try communicator.startBarrier(algorithm: settings.algorithm, timeout: settings.timeout), of: comm)
    } else {
      try communicator.barrier(algorithm: settings.algorithm, timeout: settings.timeout)
    }
  }
}
