import CTuttiLinux
import Glibc

// Descriptors that processes of one host pass each other over a Unix socket (unix(7), SCM_RIGHTS). Each that arrives has one
// owner from the start, so that none is left open whatever is wrong with a message.

extension Sockets {
  /// The descriptors that one message may bring; any beyond are closed.
  package static let descriptorsMax = 4

  /// Sends `bytes`, and copies of descriptors with them. Does not block on a fresh socket.
  ///
  /// - Parameter descriptors: They stay open here, and belong to whom they did.
  /// - Returns: As sendmsg(2).
  package static func sendDescriptors(_ descriptors: [Int32], with bytes: UnsafeRawBufferPointer, over socket: Int32) -> Int
  {
    precondition(bytes.count > 0 && descriptors.count <= descriptorsMax, "descriptors travel with bytes, four at most")
    return tutti_send_descriptors(socket, bytes.baseAddress, bytes.count, descriptors, Int32(descriptors.count))
  }

  /// Receives bytes, and the descriptors that came with them.
  ///
  /// - Returns: How many bytes, 0 at the end of the stream and less than 0 for a failure, as recvmsg(2); the descriptors;
  ///   and `errno` after a failure.
  package static func receiveDescriptors(
    _ socket: Int32, into bytes: UnsafeMutableRawBufferPointer
  ) -> (bytes: Int, descriptors: [PassedDescriptor], systemError: Int32) {
    var numbers = [Int32](repeating: -1, count: descriptorsMax)
    var count: Int32 = 0
    let received = tutti_receive_descriptors(socket, bytes.baseAddress, bytes.count, &numbers, &count)
    let failure = received < 0 ? errno : 0
    return (received, numbers.prefix(Int(count)).map { PassedDescriptor(OwnedDescriptor($0)) }, failure)
  }
}
