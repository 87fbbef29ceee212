// Send and receive as C programs call them.

import CTuttiHeader
import Tutti

@c @implementation
public func tutti_send(
  _ comm: OpaquePointer?, _ data: UnsafeRawPointer?, _ count: Int, _ type: tutti_type, _ peer: Int32,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let timeout = try transferTimeout(options)
    let memory = try transferMemory(data, count, type)
    if let work {
      work.pointee = tutti_work(try communicator.startSend(memory, to: Int(peer), timeout: timeout), of: comm)
    } else {
      try communicator.send(memory, to: Int(peer), timeout: timeout)
    }
  }
}

@c @implementation
public func tutti_receive(
  _ comm: OpaquePointer?, _ data: UnsafeMutableRawPointer?, _ count: Int, _ type: tutti_type, _ peer: Int32,
  _ options: UnsafePointer<tutti_call>?, _ work: UnsafeMutablePointer<tutti_work>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let timeout = try transferTimeout(options)
    let memory = try transferMemory(data, count, type)
    if let work {
      work.pointee = tutti_work(try communicator.startReceive(into: memory, from: Int(peer), timeout: timeout), of: comm)
    } else {
      try communicator.receive(into: memory, from: Int(peer), timeout: timeout)
    }
  }
}

@c @implementation
public func tutti_send_receive(
  _ comm: OpaquePointer?, _ data: UnsafeRawPointer?, _ count: Int, _ receiver: Int32,
  _ destination: UnsafeMutableRawPointer?, _ destination_count: Int, _ sender: Int32, _ type: tutti_type,
  _ options: UnsafePointer<tutti_call>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let timeout = try transferTimeout(options)
    try communicator.sendReceive(
      try transferMemory(data, count, type), to: Int(receiver),
      into: try transferMemory(destination, destination_count, type), from: Int(sender), timeout: timeout)
  }
}

/// The limit of a send or receive, which has no algorithm.
@inline(__always)
func transferTimeout(_ options: UnsafePointer<tutti_call>?) throws(TuttiError) -> Duration? {
  let settings = try CallSettings(options)
  if settings.algorithm != .automatic {
    throw refusal("a send or receive has no algorithm, and one is asked for", "Leave 'algorithm' NULL")
  }
  return settings.timeout
}

/// The memory of a message; refuses elements that are nowhere.
@inline(__always)
func transferMemory(
  _ address: UnsafeRawPointer?, _ count: Int, _ type: tutti_type
) throws(TuttiError) -> RawMemory {
  if address == nil && count != 0 {
    throw refusal("the memory of \(UInt(bitPattern: count)) elements is NULL", "Give memory, or a count of 0")
  }
  return RawMemory(address, count: count, type: try DataType(type))
}
