// Messages with tags as C programs send and receive them.

import CTuttiHeader
import Tutti

@c @implementation
public func tutti_send_tagged(
  _ comm: OpaquePointer?, _ data: UnsafeRawPointer?, _ count: Int, _ type: tutti_type, _ peer: Int32, _ tag: Int64,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let timeout = try transferTimeout(options)
    let started = try communicator.startSend(
      try transferMemory(data, count, type), to: Int(peer), tag: Int(tag), timeout: timeout)
    try finish(work, comm, started)
  }
}

@c @implementation
public func tutti_receive_tagged(
  _ comm: OpaquePointer?, _ data: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type, _ peer: Int32, _ tag: Int64,
  _ source: UnsafeMutablePointer<Int32>?, _ options: UnsafePointer<tutti_call>?,
  _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let timeout = try transferTimeout(options)
    // The program leaves it to the receive until that has ended.
    nonisolated(unsafe) let source = source
    let started = try communicator.startTaggedReceive(
      try transferMemory(data, count, type), peer == TUTTI_ANY_RANK ? .any : .rank(Int(peer)), Int(tag), timeout, nil
    ) { source?.pointee = Int32($0) }
    try finish(work, comm, started)
  }
}
