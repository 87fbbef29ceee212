// The collectives that only move data, as C programs call them.

import CTuttiHeader
import Tutti
import TuttiSchedule

@c @implementation
public func tutti_broadcast(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ root: Int32, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (_) throws(TuttiError) in
    let type = try DataType(type)
    return CollectiveCall(
      collective: .broadcast, input: RawMemory(input, count: count, type: type),
      output: RawMemory(output, count: count, type: type), root: Int(root))
  }
}

@c @implementation
public func tutti_gather(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ root: Int32, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let whole = try wholeCount(count, of: communicator)
    return CollectiveCall(
      collective: .gather, input: RawMemory(input, count: count, type: type),
      output: RawMemory(output, count: whole, type: type), root: Int(root))
  }
}

@c @implementation
public func tutti_gather_v(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ counts: UnsafePointer<Int>?,
  _ type: tutti_type, _ root: Int32,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    return CollectiveCall(
      collective: .gather, input: RawMemory(input, count: blocks.counts[communicator.rank], type: type),
      output: RawMemory(output, count: blocks.total, type: type), blocks: blocks.blocks, root: Int(root))
  }
}

@c @implementation
public func tutti_scatter(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ root: Int32, _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let whole = try wholeCount(count, of: communicator)
    return CollectiveCall(
      collective: .scatter, input: RawMemory(input, count: whole, type: type),
      output: RawMemory(output, count: count, type: type), root: Int(root))
  }
}

@c @implementation
public func tutti_scatter_v(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ counts: UnsafePointer<Int>?,
  _ type: tutti_type, _ root: Int32,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    return CollectiveCall(
      collective: .scatter, input: RawMemory(input, count: blocks.total, type: type),
      output: RawMemory(output, count: blocks.counts[communicator.rank], type: type), blocks: blocks.blocks, root: Int(root))
  }
}

@c @implementation
public func tutti_all_gather(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let whole = try wholeCount(count, of: communicator)
    return CollectiveCall(
      collective: .allGather, input: RawMemory(input, count: count, type: type),
      output: RawMemory(output, count: whole, type: type))
  }
}

@c @implementation
public func tutti_all_gather_v(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ counts: UnsafePointer<Int>?,
  _ type: tutti_type,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let blocks = try BlockCounts(counts, "counts", of: communicator)
    return CollectiveCall(
      collective: .allGather, input: RawMemory(input, count: blocks.counts[communicator.rank], type: type),
      output: RawMemory(output, count: blocks.total, type: type), blocks: blocks.blocks)
  }
}

@c @implementation
public func tutti_all_to_all(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let whole = try wholeCount(count, of: communicator)
    return CollectiveCall(
      collective: .allToAll, input: RawMemory(input, count: whole, type: type),
      output: RawMemory(output, count: whole, type: type))
  }
}

@c @implementation
public func tutti_all_to_all_v(
  _ comm: OpaquePointer?, _ input: UnsafeRawPointer?, _ send_counts: UnsafePointer<Int>?,
  _ output: UnsafeMutableRawPointer?, _ receive_counts: UnsafePointer<Int>?, _ type: tutti_type,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  run(comm, options, work) { (communicator) throws(TuttiError) in
    let type = try DataType(type)
    let sent = try BlockCounts(send_counts, "send_counts", of: communicator)
    let received = try BlockCounts(receive_counts, "receive_counts", of: communicator)
    return CollectiveCall(
      collective: .allToAll, input: RawMemory(input, count: sent.total, type: type),
      output: RawMemory(output, count: received.total, type: type), blocks: sent.blocks, outputBlocks: received.blocks)
  }
}
