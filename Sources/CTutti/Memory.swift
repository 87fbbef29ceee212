// Memory that peers and devices reach, as C programs have it.

import CTuttiHeader
import Tutti
import TuttiSystem

/// The buffers that C programs have allocated, by their addresses, until they free them.
private let allocated = Lock([UInt: TuttiBuffer<UInt8>]())

@c @implementation
public func tutti_memory_allocate(
  _ comm: OpaquePointer?, _ bytes: Int, _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let result = try place(memory, "memory")
    result.pointee = nil
    if bytes < 0 { throw refusal("\(UInt(bitPattern: bytes)) bytes are too many", "Ask for less") }
    // One byte at least, so that every address is one buffer's.
    let buffer = try communicator.allocate(UInt8.self, count: max(bytes, 1), repeating: 0)
    let address = UnsafeMutableRawPointer(buffer.pointer.baseAddress)
    allocated.withLock { $0[UInt(bitPattern: address)] = buffer }
    result.pointee = address
  }
}

@c @implementation
public func tutti_memory_free(_ memory: UnsafeMutableRawPointer?) -> tutti_code {
  attempt { () throws(TuttiError) in
    guard let memory else { return }
    let buffer = allocated.withLock { $0.removeValue(forKey: UInt(bitPattern: memory)) }
    if buffer == nil {
      throw refusal("the memory was not allocated by tutti_memory_allocate, or was freed before", "Free it once")
    }
  }
}

@c @implementation
public func tutti_memory_register(
  _ comm: OpaquePointer?, _ memory: UnsafeMutableRawPointer?, _ bytes: Int
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in try communicator.register(region(memory, bytes)) }
}

@c @implementation
public func tutti_memory_unregister(
  _ comm: OpaquePointer?, _ memory: UnsafeMutableRawPointer?, _ bytes: Int
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in try communicator.unregister(region(memory, bytes)) }
}

private func region(
  _ memory: UnsafeMutableRawPointer?, _ bytes: Int
) throws(TuttiError) -> UnsafeMutableRawBufferPointer {
  if bytes < 0 || (memory == nil && bytes > 0) {
    throw refusal("there are no \(UInt(bitPattern: bytes)) bytes of memory there", "Give its address and its size")
  }
  return UnsafeMutableRawBufferPointer(start: memory, count: bytes)
}
