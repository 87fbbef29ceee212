// What C programs do with a communicator as a whole.

import CTuttiHeader
import Tutti
import TuttiSystem

@c @implementation
public func tutti_comm_rank(_ comm: OpaquePointer?, _ rank: UnsafeMutablePointer<Int32>?) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in try place(rank, "rank").pointee = Int32(communicator.rank) }
}

@c @implementation
public func tutti_comm_rank_count(_ comm: OpaquePointer?, _ rank_count: UnsafeMutablePointer<Int32>?) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    try place(rank_count, "rank_count").pointee = Int32(communicator.rankCount)
  }
}

@c @implementation
public func tutti_comm_split(
  _ comm: OpaquePointer?, _ color: Int64, _ key: Int64, _ timeout_ns: Int64,
  _ part: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let result = try place(part, "part")
    result.pointee = nil
    let child = try communicator.split(
      color: color == .min ? nil : Int(color), key: Int(key), timeout: limit(timeout_ns, "timeout_ns"))
    result.pointee = child.map { CommunicatorHandle($0).pointer }
  }
}

@c @implementation
public func tutti_comm_duplicate(
  _ comm: OpaquePointer?, _ timeout_ns: Int64, _ duplicate: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let result = try place(duplicate, "duplicate")
    result.pointee = nil
    result.pointee = CommunicatorHandle(try communicator.duplicate(timeout: limit(timeout_ns, "timeout_ns"))).pointer
  }
}

@c @implementation
public func tutti_comm_last_operation(
  _ comm: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ bytes: Int
) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    let destination = try place(text, "text")
    guard bytes > 0 else { throw refusal("there is no room for a text in \(bytes) bytes", "Give room for 128, for example") }
    let info = communicator.lastOperation
    let transports = info.transports.description
    let words = transports.isEmpty ? info.algorithm : "\(info.algorithm) over \(transports)"
    let room = UnsafeMutableBufferPointer(start: destination, count: bytes - 1)
    let (_, end) = room.update(from: words.utf8.lazy.map { CChar(bitPattern: $0) })
    destination[end] = 0
  }
}

@c @implementation
public func tutti_comm_abort(_ comm: OpaquePointer?, _ reason: UnsafePointer<CChar>?) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in
    communicator.abort(reason.map { String(cString: $0) } ?? "no reason was given")
  }
}

@c @implementation
public func tutti_comm_close(_ comm: OpaquePointer?) -> tutti_code {
  call(comm) { (communicator) throws(TuttiError) in communicator.close() }
}

@c @implementation
public func tutti_comm_free(_ comm: OpaquePointer?) -> tutti_code {
  guard let comm else { return TUTTI_OK }
  guard let communicator = CommunicatorHandle(comm).take() else { return fail(freedHandle()) }
  // Closed here, and not where the last reference goes, because that may be on a handler's thread.
  communicator.close()
  return TUTTI_OK
}
