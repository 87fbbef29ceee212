// How C programs make communicators.

import CTuttiHeader
import Glibc
import Tutti
import TuttiSystem

/// Makes a communicator and gives the program its handle; NULL after an error.
private func join(
  _ comm: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(TuttiError) -> Communicator
) -> tutti_code {
  attempt { () throws(TuttiError) in
    let result = try place(comm, "comm")
    result.pointee = nil
    result.pointee = CommunicatorHandle(try body()).pointer
  }
}

@c @implementation
public func tutti_join(
  _ options: UnsafePointer<tutti_options>?, _ comm: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  join(comm) { () throws(TuttiError) in
    let settings = try JoinSettings(options)
    guard case .environment = settings.secret.kind else {
      throw refusal(
        "tutti_join takes the secret from the environment, and the options give another",
        "Set TUTTI_SECRET, or join by tutti_join_address")
    }
    return try Communicator.join(options: settings.options)
  }
}

@c @implementation
public func tutti_join_address(
  _ rank: Int32, _ rank_count: Int32, _ address: UnsafePointer<CChar>?, _ listener: Int32,
  _ options: UnsafePointer<tutti_options>?, _ comm: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  var socket = listener >= 0 ? listener : nil
  // The listener is the library's, whatever is wrong with the other arguments.
  defer { if let socket { Glibc.close(socket) } }
  return join(comm) { () throws(TuttiError) in
    let settings = try JoinSettings(options)
    guard let address else { throw refusal("'address' is NULL", "Give all ranks the same address, such as \"host:29500\"") }
    let given = socket
    socket = nil
    return try Communicator.join(
      rank: Int(rank), rankCount: Int(rank_count), address: String(cString: address), listener: given,
      secret: settings.secret, options: settings.options)
  }
}

@c @implementation
public func tutti_join_rendezvous(
  _ rank: Int32, _ rank_count: Int32, _ rendezvous: UnsafePointer<tutti_rendezvous>?, _ name: UnsafePointer<CChar>?,
  _ options: UnsafePointer<tutti_options>?, _ comm: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  join(comm) { () throws(TuttiError) in
    let store = try CallersStore.make(try tutti_rendezvous.read(rendezvous))
    let settings = try JoinSettings(options)
    return try Communicator.join(
      rank: Int(rank), rankCount: Int(rank_count), rendezvous: store, name: name.map { String(cString: $0) } ?? "main",
      secret: settings.secret, options: settings.options)
  }
}

@c @implementation
public func tutti_make_in_process(
  _ rank_count: Int32, _ options: UnsafePointer<tutti_options>?, _ comms: UnsafeMutablePointer<OpaquePointer?>?
) -> tutti_code {
  attempt { () throws(TuttiError) in
    let result = try place(comms, "comms")
    let settings = try JoinSettings(options)
    let communicators = try Communicator.makeInProcess(rankCount: Int(rank_count), options: settings.options)
    for (rank, communicator) in communicators.enumerated() {
      result[rank] = CommunicatorHandle(communicator).pointer
    }
  }
}
