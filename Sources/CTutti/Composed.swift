// Scaled sums, lists, several operations as one, and the monitored barrier, as C programs call them.

import CTuttiHeader
import Tutti
import TuttiSystem

@c @implementation
public func tutti_monitored_barrier(_ comm: OpaquePointer?, _ timeout_ns: Int64) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    try communicator.monitoredBarrier(timeout: limit(timeout_ns, "timeout_ns"))
  }
}

@c @implementation
public func tutti_all_reduce_scaled(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ factor: Double, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let (settings, type) = (try CallSettings(options), try DataType(type))
    let started = try communicator.startAllReduce(
      RawMemory(input, count: count, type: type), to: RawMemory(output, count: count, type: type), scaledBy: factor,
      algorithm: settings.algorithm, timeout: settings.timeout)
    try finish(work, comm, started)
  }
}

@c @implementation
public func tutti_reduce_scatter_scaled(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ factor: Double, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let (settings, type) = (try CallSettings(options), try DataType(type))
    let whole = try wholeCount(count, of: communicator)
    let started = try communicator.startReduceScatter(
      RawMemory(input, count: whole, type: type), to: RawMemory(output, count: count, type: type), scaledBy: factor,
      algorithm: settings.algorithm, timeout: settings.timeout)
    try finish(work, comm, started)
  }
}

@c @implementation
public func tutti_all_gather_list(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ outputs: UnsafePointer<UnsafeMutableRawPointer?>?,
  _ counts: UnsafePointer<Int>?, _ type: tutti_type, _ options: UnsafePointer<tutti_call>?,
  _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let (settings, type) = (try CallSettings(options), try DataType(type))
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    guard let outputs else { throw refusal("'outputs' is NULL", "Give an address for each rank") }
    let started = try communicator.startAllGather(
      RawMemory(input, count: blocks.counts[communicator.rank], type: type),
      to: blocks.counts.enumerated().map { RawMemory(outputs[$0], count: $1, type: type) },
      algorithm: settings.algorithm, timeout: settings.timeout)
    try finish(work, comm, started)
  }
}

@c @implementation
public func tutti_reduce_scatter_list(
  _ comm: OpaquePointer?, _ inputs: UnsafePointer<UnsafeRawPointer?>?, _ output: UnsafeMutableRawPointer?,
  _ counts: UnsafePointer<Int>?, _ type: tutti_type, _ op: tutti_op, _ options: UnsafePointer<tutti_call>?,
  _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let (settings, type, operation) = (try CallSettings(options), try DataType(type), try ReduceOp(op))
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    guard let inputs else { throw refusal("'inputs' is NULL", "Give an address for each rank") }
    let started = try communicator.startReduceScatter(
      blocks.counts.enumerated().map { RawMemory(inputs[$0], count: $1, type: type) },
      to: RawMemory(output, count: blocks.counts[communicator.rank], type: type), operation,
      algorithm: settings.algorithm, timeout: settings.timeout)
    try finish(work, comm, started)
  }
}

@c @implementation
public func tutti_work_combine(
  _ works: UnsafePointer<tutti_work>?, _ count: Int, _ combined: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  attempt { () throws(TuttiError) in
    let result = try place(combined, "combined")
    guard let works, count > 0, count <= Communicator.countMax else {
      throw refusal("'works' is NULL, or there are none", "Give the operations that were started, and their number")
    }
    var parts: [Work] = []
    for index in 0..<count { try works[index].use { (work) throws(TuttiError) in parts.append(work) } }
    let handle = OpaquePointer(bitPattern: UInt(works.pointee.opaque.0))
    result.pointee = tutti_work(try parts[0].communicator.combine(parts), of: handle)
  }
}
