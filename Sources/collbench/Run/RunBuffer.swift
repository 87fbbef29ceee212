import Glibc
import Tutti

/// Page-aligned memory of one rank: from the ordinary heap, where a program's tensors lie, or registered with the
/// communicator. It is freed with this object; nothing keeps its pointer longer, because every operation on it is a blocking
/// one.
final class RunBuffer {
  let pointer: UnsafeMutableRawPointer
  /// The owner of registered memory; nil for memory from the heap.
  private let registered: TuttiBuffer<UInt8>?

  init(bytes: Int) throws {
    var memory: UnsafeMutableRawPointer?
    let code = posix_memalign(&memory, 4096, max(bytes, 1))
    guard code == 0, let memory else {
      throw CommandFailure("a buffer of \(ByteSize.approximate(bytes)): \(systemErrorText(code)). Use smaller sizes.")
    }
    pointer = memory
    registered = nil
  }

  init(bytes: Int, registeredWith communicator: Communicator) throws {
    let buffer = try communicator.allocate(UInt8.self, count: bytes, repeating: 0)
    guard buffer.isRegistered else {
      throw CommandFailure(
        "--registered: no other rank reaches memory of rank \(communicator.rank). It is for shared memory and RDMA: --transport shm, rdma or auto."
      )
    }
    registered = buffer
    pointer = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
  }

  deinit { if registered == nil { free(pointer) } }
}
